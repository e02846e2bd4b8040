"""A mailbox: where connections wait that are handed from one worker to another.

A SOCK_SEQPACKET pair for each generation. Whoever gives up connections sends them into `inlet`, one a packet,
the descriptor as SCM_RIGHTS (unix(7)); all workers of the generation read from `outlet`. The supervisor keeps
both ends, so what waits in it survives the death of every reader.
"""

from __future__ import annotations

import os
import socket
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

    def close(self) -> None:
        """Close both ends; connections that wait in it are closed."""
        self.inlet.close()
        self.outlet.close()


class Forwarding:
    """The rest of a mailbox that nobody reads any more, on its way into another. It owns both ends.

    At once nobody can send into it any more: who tries gets a BrokenPipeError, and keeps its connection.
    """

    def __init__(self, taken: Mailbox) -> None:
        self._mailbox = taken
        # Of the socket, not of our descriptor: for everybody who has one. What waits can be read: unix(7).
        taken.inlet.shutdown(socket.SHUT_WR)
        self._held: tuple[bytes, Fd] | None = None
        """Taken out, but not in the other one."""
        self.count = 0
        """Connections that were passed on."""

    def go_on(self, other: Mailbox) -> bool:
        """Pass on what has room in `other`, and return whether nothing is left. Does not wait."""
        for _ in range(_MOST_AT_ONCE):
            if self._held is None and not _has_descriptor(self._mailbox.outlet):
                return False
            if self._held is None and not self._take():
                return True
            assert self._held is not None
            packet, descriptor = self._held
            try:
                send(other.inlet, packet, descriptor.fileno())
            except OSError:
                return False  # full, or dropped itself, and then there is another
            descriptor.close()
            self._held = None
            self.count += 1
        return False

    def _take(self) -> bool:
        """Take the next one out; False if there is none."""
        while True:
            try:
                packet, descriptor = receive(self._mailbox.outlet)
            except OSError:
                return False
            if descriptor is not None:
                self._held = packet, descriptor
            if self._held is not None or not packet:
                return self._held is not None

    def close(self) -> None:
        """Close it; connections that still wait in it are closed."""
        if self._held is not None:
            self._held[1].close()
            self._held = None
        self._mailbox.close()


def _has_descriptor(borrowed: socket.socket) -> bool:
    """Whether another descriptor can be had: without one the kernel drops what comes with a packet."""
    try:
        os.close(os.dup(borrowed.fileno()))
    except OSError:
        return False
    return True


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
