"""A fixed pool of threads for WSGI applications.

Smaller and faster than concurrent.futures: no future a call, because a WSGI exchange reports by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger("sdserve.wsgi")


class ThreadPool:
    """Runs calls in the order they were submitted, on `size` threads that start at once."""

    def __init__(self, size: int) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            # Daemons: a call that hangs must not keep a drained worker alive.
            threading.Thread(target=self._work, name=f"sdserve-wsgi-{number}", daemon=True)
            for number in range(1, size + 1)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[[], None]) -> None:
        """Run `call`, which must not raise, as soon as a thread is free."""
        self._queue.put(call)

    def stop(self) -> None:
        """End each thread once it is free; does not wait."""
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                call()
            except BaseException:
                log.exception("a call on %s failed in sdserve itself", threading.current_thread().name)
