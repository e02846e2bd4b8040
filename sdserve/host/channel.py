"""A channel between two of our own processes: a SOCK_SEQPACKET socket pair, a message a packet.

Sequenced packets keep message boundaries, carry descriptors (SCM_RIGHTS) and, unlike datagrams,
tell each side when the other one is gone.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from sdserve.core import wire
from sdserve.errors import WireError
from sdserve.host.fds import Fd

MAX_DESCRIPTORS = 253  # SCM_MAX_FD of Linux, in one packet
_SEND_BUFFER = 208 * 1024  # bytes; Linux's own default, which an administrator may have lowered
_INT = array.array("i").itemsize


@dataclass(frozen=True, slots=True)
class Received:
    """A message and the descriptors that came with it, which now belong to the receiver."""

    message: wire.Message
    descriptors: list[Fd] = field(default_factory=list)


class Channel:
    """One end. It owns its socket."""

    __slots__ = ("socket",)

    def __init__(self, taken: socket.socket) -> None:
        self.socket = taken

    def fileno(self) -> int:
        """Borrowed; -1 when closed."""
        return self.socket.fileno()

    def send(self, message: wire.Message, borrowed: Sequence[int] = ()) -> None:
        """Send `message`, and copies of the descriptors in `borrowed`.

        WireError if it fits no packet; OSError if the other side is gone or, on a non-blocking
        channel, does not read (BlockingIOError).
        """
        packet = wire.encode(message)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", borrowed))] if borrowed else []
        # Without MSG_NOSIGNAL a process that restored SIGPIPE would die of a peer's death.
        self.socket.sendmsg([packet], rights, socket.MSG_NOSIGNAL)

    def receive(self) -> Received | None:
        """The next message, None when the other side is gone.

        WireError if it cannot be understood (its descriptors are closed); BlockingIOError if, on
        a non-blocking channel, there is none.
        """
        try:
            packet, ancillary, flags = self._receive_packet()
        except ConnectionResetError:
            # It left without having read everything. Linux says so once, and before what it wrote.
            packet, ancillary, flags = self._receive_packet()
        descriptors = _descriptors(ancillary)
        # An empty packet is the end: `encode` makes none.
        if not packet and not descriptors:
            return None
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise WireError("a packet was cut short by the kernel")
            return Received(wire.decode(packet), descriptors)
        except WireError:
            for descriptor in descriptors:
                descriptor.close()
            raise

    def _receive_packet(self) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
        return _receive(self.socket, wire.MAX_PACKET, MAX_DESCRIPTORS)

    def peer_pid(self) -> int:
        """The process that made the pair (SO_PEERCRED, unix(7)), also after it has died."""
        credentials = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, _, _ = struct.unpack("3i", credentials)
        return int(pid)

    def close(self) -> None:
        """Close it, which the other side notices; closing again does nothing."""
        self.socket.close()


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, close-on-exec: a non-blocking one to keep and a blocking one to give away."""
    kept, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept.setblocking(False)
    for end in (kept, given):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return Channel(kept), Channel(given)


def adopt(taken: Fd) -> Channel:
    """The blocking end that was passed to this process as a descriptor.

    WireError if it is something else.
    """
    try:
        end = socket.socket(fileno=os.dup(taken.fileno()))
    except OSError as error:
        raise WireError(f"descriptor {taken.fileno()} is not a channel: {error.strerror}") from None
    finally:
        taken.close()
    end.set_inheritable(False)
    end.setblocking(True)
    return Channel(end)


def receive_packet(borrowed: socket.socket, size: int) -> tuple[bytes, Fd | None]:
    """Take a packet of at most `size` bytes from a socket, and the descriptor that came with it, if one did.

    OSError if there is none. b"" if the other side is gone.
    """
    packet, ancillary, _ = _receive(borrowed, size, 1)
    descriptors = _descriptors(ancillary)
    return packet, descriptors[0] if descriptors else None


def _receive(
    borrowed: socket.socket, size: int, most: int
) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
    # Not by socket.recv_fds, which forgets its flags in Python 3.11: what came would outlive an exec.
    room = socket.CMSG_LEN(most * _INT)
    packet, ancillary, flags, _ = borrowed.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
    return packet, ancillary, flags


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[Fd]:
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % _INT])
    return [Fd(number) for number in numbers]
