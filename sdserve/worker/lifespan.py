"""The ASGI lifespan: https://asgi.readthedocs.io/en/stable/specs/lifespan.html"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from sdserve.errors import BootError, LocalProtocolError

log = logging.getLogger("sdserve.lifespan")

_STARTUP = ("lifespan.startup.complete", "lifespan.startup.failed")
_SHUTDOWN = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")
_ANSWERS = _STARTUP + _SHUTDOWN

_LAST_WORD = 1.0
"""Seconds that the application's task has to end after it has said its last word."""


class Lifespan:
    """Tells the application that it starts and that it ends, in one task that lives as long as the worker."""

    def __init__(self, application: Any, loop: asyncio.AbstractEventLoop, state: dict[str, Any]) -> None:
        """The application may add to `state`, which begins with what we have to offer."""
        self._application = application
        self._loop = loop
        self._orders: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._answer: asyncio.Future[dict[str, Any]]
        self._task: asyncio.Task[None] | None = None
        self._asked = False
        self._strange = False
        self._expected = _STARTUP
        self._state = state

    async def start(self) -> dict[str, Any] | None:
        """Start the application up; return the state it left, None if it has no lifespan.

        An application that raises before it has received anything does not know the protocol, and that is
        fine. One that raises later has failed.

        Raises:
            BootError: the start-up failed, with the application's exception as its cause if it raised one.
        """
        self._answer = self._loop.create_future()
        self._orders.put_nowait({"type": "lifespan.startup"})
        self._task = task = self._loop.create_task(self._run())
        both: tuple[asyncio.Future[Any], ...] = (task, self._answer)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if self._answer.done() and self._answer.result()["type"] == "lifespan.startup.complete":
            return self._state
        error = await self._end(task)
        if self._answer.done() and error is None:
            reason = self._answer.result().get("message", "") or "no reason given"
            raise BootError(f"the application's start-up failed: {reason}")
        if (self._asked or self._answer.done()) and not self._strange:
            if error is None:
                raise BootError("the application's start-up ended without an answer")
            raise BootError(f"the application's start-up raised {type(error).__name__}: {error}") from error
        log.debug("the application has no lifespan", exc_info=error)
        return None

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._application(scope, self._receive, self._send)
        except (SystemExit, KeyboardInterrupt) as error:
            # In a task either would end the loop, and with it the worker.
            raise RuntimeError(f"the application raised {error!r}") from error

    async def _end(self, task: asyncio.Task[None]) -> BaseException | None:
        """Wait a little for the task to end by itself, then make it; return what it raised."""
        self._task = None
        await asyncio.wait({task}, timeout=_LAST_WORD)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LAST_WORD)
        return task.exception() if task.done() and not task.cancelled() else None

    async def _receive(self) -> dict[str, str]:
        self._asked = True
        return await self._orders.get()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in _ANSWERS:
            # It takes every scope for a request, so it does not know this protocol.
            self._strange = isinstance(kind, str) and not kind.startswith("lifespan.")
            raise LocalProtocolError(f"the application sent what no lifespan has: {message!r:.60}")
        if kind not in self._expected:
            raise LocalProtocolError(f"the application sent {kind} where it was not due")
        if not self._answer.done():
            self._answer.set_result(message)

    async def stop(self, timeout: float) -> None:
        """Shut the application down; what goes wrong is logged, for there is nobody else left to tell."""
        task = self._task
        if task is None:
            return
        self._answer = self._loop.create_future()
        self._expected = _SHUTDOWN
        self._orders.put_nowait({"type": "lifespan.shutdown"})
        both: tuple[asyncio.Future[Any], ...] = (task, self._answer)
        await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not self._answer.done() and not task.done():
            log.error("the application's shutdown took longer than the drain time-out; leaving it")
            task.cancel()
        elif self._answer.done() and self._answer.result()["type"] == "lifespan.shutdown.failed":
            log.error("the application's shutdown failed: %s", self._answer.result().get("message", ""))
        error = await self._end(task)
        if error is not None:
            log.error("the application's shutdown raised", exc_info=error)
