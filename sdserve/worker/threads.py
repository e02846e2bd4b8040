"""A pool of threads for WSGI applications.

Smaller and faster than concurrent.futures: no future a call, because a WSGI exchange reports by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger("sdserve.wsgi")

Call = Callable[[], None]


class ThreadPool:
    """Runs calls in the order they were submitted, on `size` threads that start at once."""

    def __init__(self, size: int) -> None:
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._threads: list[_Thread] = []
        self._started = 0
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        self._started += 1
        self._threads.append(_Thread(self._queue, f"sdserve-wsgi-{self._started}"))

    def submit(self, call: Call) -> None:
        """Run `call`, which must not raise, as soon as a thread is free."""
        self._queue.put(call)

    def leave_behind(self, call: Call) -> int | None:
        """Let another thread take the place of the one that runs `call`; return the ident of that.

        It ends as soon as it returns from what it runs. None if no thread runs `call` any more.
        """
        for thread in self._threads:
            if thread.call == call:
                self._threads.remove(thread)
                self._start()
                # After the comparison it may have taken another call; it then ends after that one.
                thread.left = True
                return thread.ident
        return None

    def stop(self) -> None:
        """End each thread once it is free; does not wait."""
        for _ in range(self._started):
            self._queue.put(None)


class _Thread:
    """One thread of a pool."""

    def __init__(self, queue: SimpleQueue[Call | None], name: str) -> None:
        self.call: Call | None = None
        """What it runs."""
        self.left = False
        self._queue = queue
        # A daemon: a call that hangs must not keep a drained worker alive.
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self.ident = thread.ident

    def _work(self) -> None:
        while not self.left and (call := self._queue.get()) is not None:
            self.call = call
            try:
                call()
            except BaseException:
                log.exception("a call on %s failed in sdserve itself", threading.current_thread().name)
            self.call = call = None  # what it holds is not kept until the next one comes
