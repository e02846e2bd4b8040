"""How long a client may take too little of what it is sent."""

from __future__ import annotations

import asyncio

from sdserve.core.http.options import HttpOptions
from sdserve.worker.sockets import unacknowledged


def pending(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has yet to take, in our memory and in the kernel's."""
    return transport.get_write_buffer_size() + unacknowledged(transport)


def took_enough(before: float, left: float, http: HttpOptions) -> bool:
    """Whether a client took enough of `before` bytes in `http.write_timeout` to get as much time again."""
    taken = before - left
    # More than before is what the application has added meanwhile.
    return left > 0 and (taken < 0 or taken >= max(1.0, http.body_min_rate * http.write_timeout))
