"""Whether the code that a worker runs is still what is on the disk. Looked at once a minute, off the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from sdserve.host.modules import ModuleFiles

PERIOD = 60.0
"""Seconds between two looks."""


class CodeWatch:
    """Calls `report`, on the loop's thread, with the files that have changed since they were imported."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Callable[[tuple[str, ...]], None]) -> None:
        self._loop = loop
        self._report = report
        self._files = ModuleFiles()
        self._reported: set[str] = set()

    def look(self) -> None:
        """Look now, which the first time is what others are compared with, and again from time to time."""
        # A thread of its own, which ends: a file system may hang, and nobody else should wait for it then.
        threading.Thread(target=self._compare, name="sdserve-code-watch", daemon=True).start()

    def _compare(self) -> None:
        changed = self._files.changed()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._go_on, changed)

    def _go_on(self, changed: set[str]) -> None:
        if new := changed - self._reported:
            self._reported |= new
            self._report(tuple(sorted(new)))
        self._loop.call_later(PERIOD, self.look)
