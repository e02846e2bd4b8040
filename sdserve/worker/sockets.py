"""What a transport does not tell of its socket, and what it cannot be asked to do with it."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Any

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without time: socket(7)."""


def unacknowledged(transport: asyncio.Transport) -> int:
    """Return how many bytes the kernel holds for the client, 0 if the socket is gone: tcp(7), SIOCOUTQ.

    A transport sees only when the socket becomes writable again, in steps of up to megabytes. Of a unix
    socket it is the memory that the bytes take, which shrinks in the same way.
    """
    return _count(transport, termios.TIOCOUTQ)


def unread(transport: asyncio.Transport) -> int:
    """Return how many bytes of the client's wait to be read, 0 if the socket is gone: tcp(7), SIOCINQ.

    Closing a socket that has some throws them away, and tells the client so by a reset.
    """
    return _count(transport, termios.FIONREAD)


def reset_when_closed(transport: asyncio.Transport) -> None:
    """Let closing the connection send a reset in place of an orderly end; a unix socket knows none."""
    connected = _maybe_socket(transport)
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def descriptor_of(transport: asyncio.Transport) -> int:
    """Return the descriptor, borrowed; -1 if the socket is gone."""
    connected = _maybe_socket(transport)
    return -1 if connected is None else int(connected.fileno())


def _count(transport: asyncio.Transport, request: int) -> int:
    """Ask the kernel for a number of bytes: ioctl(2)."""
    connected = _maybe_socket(transport)
    if connected is None:
        return 0
    return int.from_bytes(fcntl.ioctl(connected.fileno(), request, bytes(4)), sys.byteorder)


def _maybe_socket(transport: asyncio.Transport) -> Any:
    """Return the socket, None once it is closed; the loops say that in ways of their own."""
    connected = transport.get_extra_info("socket")
    return connected if connected is not None and connected.fileno() >= 0 else None
