"""How a generator speaks: to the journal, in its own protocol, where `journalctl --unit=` finds it.

systemd.generator(7): generators run before there is syslog. When the machine boots there may be no journal
yet either, and then the kernel's log takes the line until there is one. Standard error is read by nobody.
"""

from __future__ import annotations

import os
import sys

from sdserve.core import catalog
from sdserve.generator import units
from sdserve.host import journal

KERNEL = "/dev/kmsg"
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
    fields: dict[str, str | int] = {
        "MESSAGE": message.replace("\n", " "),
        "PRIORITY": _PRIORITY,
        "SYSLOG_IDENTIFIER": "sdserve-generator",
        "MESSAGE_ID": catalog.NO_SOCKETS,
    }
    if name:
        fields |= {"SDSERVE_INSTANCE": name, "OBJECT_SYSTEMD_UNIT": units.service(name)}
    journal.send(fields)


def _write(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, line.encode(errors="backslashreplace"))
    finally:
        os.close(descriptor)
