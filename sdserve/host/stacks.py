"""The stacks of all threads, on request: where a worker that does not go on stands still."""

from __future__ import annotations

import faulthandler
import signal

from sdserve.host.logs import STDERR

SIGNAL = signal.SIGRTMAX
"""A real-time signal: applications and their libraries have uses of their own for SIGUSR1 and SIGUSR2."""


def write_on_request() -> None:
    """Write the stacks of all threads to standard error whenever `SIGNAL` comes, whatever runs then."""
    faulthandler.register(SIGNAL, file=STDERR, all_threads=True, chain=False)
