"""A pool of threads for WSGI applications.

Smaller and faster than concurrent.futures: no future a call, because a WSGI exchange reports by itself.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile
from math import inf
from queue import SimpleQueue

log = logging.getLogger("sdserve.wsgi")

Call = Callable[[], None]


class ThreadPool:
    """Runs calls in the order they were submitted, on `size` threads that start at once.

    What threads wait for are tokens, each of which sends one to the oldest call. So nothing is left of a call
    that is withdrawn, however long all threads are busy.

    Laws:

    1. A call waits in `_waiting`. Each method of that which is used here is atomic; whoever takes a call out,
       a thread or `withdraw`, decides what becomes of it.
    2. There are at least as many tokens, together with those that threads have just taken, as calls; and
       never more than there were calls at once.
    """

    def __init__(self, size: int) -> None:
        self._waiting: OrderedDict[Call, float] = OrderedDict()
        """The oldest first, and the time since when."""
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        """False ends a thread."""
        self._threads: list[_Thread] = []
        self._started = 0
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        self._started += 1
        self._threads.append(_Thread(self._tokens, self._waiting, f"sdserve-wsgi-{self._started}"))

    def submit(self, call: Call, now: float) -> None:
        """Run `call`, which must not raise, nor be waiting already, as soon as a thread is free.

        Always on the same thread, so that nothing is added between looking and putting a token.
        `now` is in seconds of any clock that does not go back.
        """
        self._waiting[call] = now
        calls = len(self._waiting)  # first: threads take a token and then a call meanwhile
        if self._tokens.qsize() < calls:  # else one is there whose call was withdrawn
            self._tokens.put(True)

    def withdraw(self, call: Call) -> bool:
        """Whether no thread has begun `call`; then none will."""
        return self._waiting.pop(call, None) is not None

    def submitted_until(self, latest: float) -> list[Call]:
        """Return what has been waiting since `latest` or longer, the oldest first."""
        waiting = list(self._waiting)  # at once, as items() would not be
        return list(takewhile(lambda call: self._waiting.get(call, -inf) <= latest, waiting))

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
            self._tokens.put(False)


class _Thread:
    """One thread of a pool."""

    def __init__(self, tokens: SimpleQueue[bool], waiting: OrderedDict[Call, float], name: str) -> None:
        self.call: Call | None = None
        """What it runs."""
        self.left = False
        self._tokens = tokens
        self._waiting = waiting
        # A daemon: a call that hangs must not keep a drained worker alive.
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self.ident = thread.ident

    def _work(self) -> None:
        while not self.left and self._tokens.get():
            try:
                call, _ = self._waiting.popitem(last=False)
            except KeyError:
                continue  # it has been withdrawn
            self.call = call
            try:
                call()
            except BaseException:
                log.exception("a call on %s failed in sdserve itself", threading.current_thread().name)
            # What it holds is not kept until the next one comes.
            self.call = None
            del call
