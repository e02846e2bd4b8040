"""A mailbox: where connections wait that are handed from one worker to another.

A SOCK_SEQPACKET pair for each generation. Whoever gives up connections sends them into `inlet`, one a packet,
the descriptor as SCM_RIGHTS (unix(7)); all workers of the generation read from `outlet`. The supervisor keeps
both ends, so what waits in it survives the death of every reader.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from sdserve.core.wire.moved import MAX_MOVED
from sdserve.host.channel import receive_packet
from sdserve.host.fds import Fd

_SEND_BUFFER = 208 * 1024
"""Bytes; Linux's own default, which an administrator may have lowered. A packet has to fit."""
_MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Both ends; it owns them. They do not block, in no process that has them."""

    inlet: socket.socket
    outlet: socket.socket

    @classmethod
    def make(cls) -> Mailbox:
        """Return a new one, close-on-exec. OSError without descriptors."""
        inlet, outlet = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        inlet.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        return cls(inlet, outlet)

    def empty_into(self, other: Mailbox) -> int:
        """Pass on what still waits; return how many connections that were. What has no room is closed."""
        count = 0
        for _ in range(_MOST_AT_ONCE):
            try:
                packet, descriptor = receive(self.outlet)
            except OSError:
                break
            if descriptor is not None:
                with descriptor, suppress(OSError):
                    send(other.inlet, packet, descriptor.fileno())
                    count += 1
        return count

    def close(self) -> None:
        """Close both ends; connections that wait in it are closed."""
        self.inlet.close()
        self.outlet.close()


def receive(outlet: socket.socket) -> tuple[bytes, Fd | None]:
    """Take a packet and the descriptor that came with it. Without a free one none comes.

    OSError if nothing waits; b"" once nobody is left to send.
    """
    return receive_packet(outlet, MAX_MOVED)


def send(inlet: socket.socket, packet: bytes, borrowed: int) -> None:
    """Send the packet with a copy of the descriptor `borrowed`.

    BlockingIOError if it has no room; OSError, as ETOOMANYREFS of unix(7); ConnectionError if nobody is left.
    """
    socket.send_fds(inlet, [packet], [borrowed], socket.MSG_NOSIGNAL)
