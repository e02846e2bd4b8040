"""Ends application code that holds up the loop's own thread for too long.

A thread of its own looks at it, and a signal interrupts it: its handler, which Python runs on the main
thread, raises `OverdueError` out of whatever the application does there, a system call that waits included
(PEP 475).

Laws:

1. Application code runs inside `call`, and what of ours it calls back inside `shielded`. Each stretch of it
   has a number of its own, which `_running` holds exactly as long as it lasts.
2. The handler raises only where the number is still the one that was found overdue. A signal that comes late
   does nothing.
3. No second signal is sent before the first one was handled, so they cannot pile up behind C code that does
   not return. What catches the exception and goes on gets it again.
4. No method is called between the end of a stretch and clearing `_running`: Python looks for signals at
   calls, so an exception cannot come out of our own code.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Protocol

from sdserve.worker.stacks import stack_of

log = logging.getLogger("sdserve.wsgi")

SIGNAL = signal.SIGRTMAX - 2
"""One that applications have no use for: they may have handlers for SIGUSR1 and SIGUSR2."""

_PERIOD = 1.0
"""Seconds between two looks, or two signals to code that goes on."""


class Subject(Protocol):
    """Whose application code it is."""

    @property
    def where(self) -> str:
        """Method and path."""


class OverdueError(BaseException):
    """Raised in the application; no Exception, so that it is seldom caught."""


class Watchdog:
    """Made and started on the main thread, which runs what it looks at."""

    def __init__(self, timeout: float, found: Callable[[], None]) -> None:
        """Interrupt what takes longer than `timeout` seconds; `found` is called then, by another thread."""
        self.subject: Subject | None = None
        """To be set before `call`, for the log."""
        self._timeout = timeout
        self._found = found
        self._serial = 0
        self._running = 0
        """The number of the stretch that runs, 0 for none. Written by the main thread."""
        self._overdue = 0
        """The number of the stretch that takes too long. Written by our thread."""
        self._culprit: Subject | None = None
        self._sent = False
        """A signal is on its way."""
        self._handled: SimpleQueue[bool] = SimpleQueue()
        """Whether the signal has met what it was for; put by its handler, which may take no lock."""
        self._main = threading.main_thread().ident
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sdserve-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look. Only on the main thread: signal(7) handlers are set there."""
        signal.signal(SIGNAL, self._handle)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; does not wait."""
        self._stopped.set()

    # On the main thread

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call application code; what it returns and raises, or `OverdueError`."""
        self._serial += 1
        self._running = self._serial
        try:
            return function(*arguments)
        finally:
            self._running = 0

    def each(self, iterable: Iterable[bytes]) -> Iterator[bytes]:
        """Iterate over what the application has returned, which is application code as well."""
        following = self.call(iter, iterable).__next__
        while True:
            try:
                part = self.call(following)
            except StopIteration:
                return
            yield part

    def shielded(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of ours, which must not be interrupted, from application code or anywhere."""
        running, self._running = self._running, 0
        try:
            function(*arguments)
        finally:
            if running:
                self._serial += 1  # it is progress
                self._running = self._serial

    def has_found(self, subject: Subject) -> bool:
        """Whether `subject` has been interrupted."""
        return self._culprit is subject

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        meets = self._running != 0 and self._running == self._overdue
        self._handled.put(meets)
        self._sent = False
        if meets:
            self._culprit = self.subject
            raise OverdueError

    # On our thread

    def _watch(self) -> None:
        seen = 0
        since = again = 0.0
        while not self._stopped.wait(min(self._timeout / 4, _PERIOD)):
            running = self._running
            now = time.monotonic()
            if running != seen or not running:
                seen, since = running, now
                again = now + self._timeout
            elif now >= again and not self._sent:
                again = now + _PERIOD
                self._interrupt(running, now - since)

    def _interrupt(self, running: int, seconds: float) -> None:
        stack = stack_of(self._main)
        subject = self.subject
        if self._running != running:
            return  # it has just ended, and `subject` may be another
        is_new = self._overdue != running
        self._overdue = running
        self._handled = SimpleQueue()  # nothing is on its way to the last one
        self._sent = True
        assert self._main is not None
        signal.pthread_kill(self._main, SIGNAL)
        if is_new and self._meets():
            log.error(
                "%s: the application made no progress for %.0f seconds (workers.request_timeout) and is"
                " interrupted; it was at:\n%s",
                "an application" if subject is None else subject.where,
                seconds,
                stack,
            )
            self._found()

    def _meets(self) -> bool:
        """Whether the signal has met a call, which may have ended in the same instant."""
        try:
            return self._handled.get(timeout=_PERIOD)
        except Empty:
            return True  # what runs handles none
