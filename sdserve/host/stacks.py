"""The stacks of all threads, on request: where a worker that does not go on stands still."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Callable
from types import FrameType

from sdserve.host.logs import STDERR

SIGNAL = signal.SIGRTMAX
"""A real-time signal: applications and their libraries have uses of their own for SIGUSR1 and SIGUSR2."""


def write_on_request(then: Callable[[], None]) -> None:
    """Write the stacks of all threads to standard error whenever `SIGNAL` comes, whatever runs then.

    After that `then` is called on the main thread, unless that is in native code that does not return.
    """

    def handle(_: int, __: FrameType | None) -> None:
        then()

    signal.signal(SIGNAL, handle)
    # It calls the handler that it finds, the interpreter's for `handle`, when it has written.
    faulthandler.register(SIGNAL, file=STDERR, all_threads=True, chain=True)
