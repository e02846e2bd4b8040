"""The journal's own protocol, for messages with more fields than standard error can carry.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL: one datagram for each message. libsystemd has the same, but waits
for room.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"


def send(fields: Mapping[str, str | int]) -> None:
    """Send a message without waiting; `fields` are those of systemd.journal-fields(7).

    OSError if there is no journal, if it has no room now, or if the message is too large for a datagram.
    """
    datagram = b"".join(_encode(name, str(value)) for name, value in fields.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as journal:
        journal.sendto(datagram, SOCKET)


def _encode(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
