"""The worker's end of the channel to its supervisor, on the worker's loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from sdserve.core.wire.codec import MAX_PACKET, decode, encode
from sdserve.core.wire.messages import Drain, Message
from sdserve.errors import WireError

log = logging.getLogger("sdserve.channel")


class Channel:
    """Reads orders, sends reports. Owns the socket."""

    def __init__(self, taken: socket.socket) -> None:
        self._socket = taken
        self._socket.setblocking(False)

    def listen(self, loop: asyncio.AbstractEventLoop, drain: Callable[[], None]) -> None:
        """Call `drain` on the supervisor's order, or once it is gone."""

        def readable() -> None:
            try:
                packet = self._socket.recv(MAX_PACKET)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                packet = b""
            if not packet:
                loop.remove_reader(self._socket.fileno())
                log.warning("the supervisor is gone; draining")
                drain()
                return
            try:
                message = decode(packet)
            except WireError as error:
                log.warning("an order of the supervisor's makes no sense, ignoring: %s", error)
                return
            if isinstance(message, Drain):
                drain()

        loop.add_reader(self._socket.fileno(), readable)

    def send(self, message: Message) -> None:
        """Report; a supervisor that is gone is noticed by `listen`."""
        try:
            self._socket.send(encode(message))
        except OSError as error:
            log.warning("the supervisor cannot be told %s: %s", type(message).__name__, error)
