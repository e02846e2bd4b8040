"""The worker's end of the channel to its supervisor, on the worker's loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from sdserve.core.wire.codec import MAX_PACKET, decode, encode
from sdserve.core.wire.messages import Certificates, Drain, Message, Serve
from sdserve.errors import WireError
from sdserve.host.channel import receive_packet
from sdserve.host.fds import Fd
from sdserve.worker.server import Heir

log = logging.getLogger("sdserve.channel")


class Channel:
    """Reads orders, sends reports. Owns the socket."""

    def __init__(self, taken: socket.socket) -> None:
        self._socket = taken
        self._socket.setblocking(False)

    def listen(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        serve: Callable[[], None],
        drain: Callable[[Heir | None], None],
        renew: Callable[[Fd], None],
    ) -> None:
        """Call `serve` and `drain` on the supervisor's orders, and `drain` once it is gone.

        `renew` gets new certificates.
        """

        def readable() -> None:
            try:
                # Without a free descriptor none comes, and the order holds all the same.
                packet, descriptor = receive_packet(self._socket, MAX_PACKET)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                packet, descriptor = b"", None
            if not packet:
                loop.remove_reader(self._socket.fileno())
                log.warning("the supervisor is gone; draining")
                drain(None)
                return
            try:
                message = decode(packet)
            except WireError as error:
                log.warning("an order of the supervisor's makes no sense, ignoring: %s", error)
                return
            match message:
                case Serve():
                    serve()
                case Drain():
                    drain(_heir(message, descriptor))
                case Certificates() if descriptor is not None:
                    renew(descriptor)

        loop.add_reader(self._socket.fileno(), readable)

    def send(self, message: Message) -> None:
        """Report; a supervisor that is gone is noticed by `listen`."""
        try:
            self._socket.send(encode(message))
        except OSError as error:
            log.warning("the supervisor cannot be told %s: %s", type(message).__name__, error)


def _heir(message: Drain, descriptor: Fd | None) -> Heir | None:
    if not message.heir or descriptor is None:
        return None
    mailbox = socket.socket(fileno=descriptor.steal())
    return Heir(mailbox, message.heir, is_own=message.heir == message.generation)
