"""What a connection and the code that answers its requests have to do with each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sdserve.core.http.request import Request

if TYPE_CHECKING:
    from sdserve.worker.http import HttpProtocol
    from sdserve.worker.websockets import WebSockets


class Exchange(Protocol):
    """One request and its response. All methods are called on the loop's thread."""

    @property
    def where(self) -> str:
        """The request, for the log: method and path, without its query, which may hold secrets."""

    def body_received(self, data: bytes) -> None:
        """A piece of the request's body, not empty."""

    def body_ended(self) -> None:
        """The body is complete. Not called for a request whose `length` is 0."""

    def writable(self) -> None:
        """The socket takes bytes again after `HttpProtocol.write_paused` was true."""

    def client_left(self) -> None:
        """The client will send no more; it may still read."""

    def disconnected(self) -> None:
        """The connection is gone, or no longer usable; nothing that is sent will arrive."""


class Gateway(Protocol):
    """Makes exchanges: one gateway a worker, for its interface."""

    interface: str
    when_idle: Callable[[], None] | None
    """Called on the loop's thread each time the last call into the application has returned, if set."""

    draining: asyncio.Event
    """Set by the server once the worker drains, for the application to see."""

    websockets: WebSockets
    """Set by the server: who takes over a connection that becomes a WebSocket."""

    def begin(self, protocol: HttpProtocol, request: Request) -> None:
        """Make `protocol.exchange` and begin to answer `request`: whole if its `length` is 0, else its body
        follows. The exchange may have ended when this returns."""

    async def start(self) -> None:
        """Start the application up; BootError if it fails."""

    async def stop(self, timeout: float) -> None:
        """Shut the application down, within `timeout` seconds."""

    def end_streams(self) -> None:
        """The worker has been draining for long: answers that have begun should come to their end."""

    @property
    def busy(self) -> int:
        """How many calls into the application have not returned."""
