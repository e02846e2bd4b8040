"""How a generator speaks: to the journal, in its own protocol, where `journalctl --unit=` finds it.

systemd.generator(7): generators run before there is syslog. When the machine boots there may be no journal
yet either, and then the kernel's log takes the line until there is one. Standard error is read by nobody.
"""

from __future__ import annotations

import os
import socket
import sys

from sdserve.generator import units

JOURNAL = "/run/systemd/journal/socket"
KERNEL = "/dev/kmsg"
MESSAGE_ID = "9a1a5d0c2b6d4d8f9f4c0f5d0e6a7b31"
_PRIORITY = 3


def write(name: str, message: str) -> None:
    """Log an error about the instance `name` (empty: about none), wherever it can be written."""
    try:
        _to_journal(name, message)
    except OSError:
        line = f"sdserve-generator: {message}\n"
        try:
            _write(KERNEL, f"<{_PRIORITY}>{line}")
        except OSError:
            sys.stderr.write(line)


def _to_journal(name: str, message: str) -> None:
    """systemd.journal-fields(7); a value with a line end would need another form, and none here has one."""
    fields = {
        "MESSAGE": message.replace("\n", " "),
        "PRIORITY": _PRIORITY,
        "SYSLOG_IDENTIFIER": "sdserve-generator",
        "MESSAGE_ID": MESSAGE_ID,
    }
    if name:
        fields |= {"SDSERVE_INSTANCE": name, "OBJECT_SYSTEMD_UNIT": units.service(name)}
    text = "".join(f"{field}={value}\n" for field, value in fields.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.sendto(text.encode(errors="backslashreplace"), JOURNAL)


def _write(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, line.encode(errors="backslashreplace"))
    finally:
        os.close(descriptor)
