"""Tasks that wait for the same thing."""

from __future__ import annotations

import asyncio


class Waiters:
    """Each has a future of its own: cancelling one leaves the others."""

    __slots__ = ("_futures", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Until `wake`."""
        future = self._loop.create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            if future in self._futures:  # cancelled: perhaps nobody ever wakes it
                self._futures.remove(future)

    def wake(self) -> None:
        """Let all go on that wait now."""
        if self._futures:
            futures, self._futures = self._futures, []
            for future in futures:
                if not future.done():
                    future.set_result(None)
