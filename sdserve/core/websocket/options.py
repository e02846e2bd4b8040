"""What a user may set about WebSocket, as one frozen value. Sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """The `[websocket]` section.

    The defaults of other servers, for comparison: message 16 MiB (uvicorn, hypercorn), 4 MiB (aiohttp), 1 MiB
    (daphne); queue 32 (uvicorn); ping every 20 s (uvicorn), none (hypercorn).
    """

    max_message: int = 16 * MIB
    """Of one message, after inflating; a frame that announces more than is left of it is refused at once."""
    max_queue: int = 32
    """Messages that wait for the application before the socket is no longer read."""
    compression: bool = True
    """Whether permessage-deflate (RFC 7692) is agreed to if the client offers it."""
    ping_interval: float = 20.0
    """Between two pings; 0: none."""
    ping_timeout: float = 20.0
    """How long a client may be silent after a ping; 0: for ever."""
    close_timeout: float = 10.0
    """How long a client may take to answer a close frame, or to leave after it broke a rule."""
