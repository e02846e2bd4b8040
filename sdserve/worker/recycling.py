"""When a worker wants to be replaced although nothing is wrong with it. Looked at once a second."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sdserve.core.gateway.options import WorkerOptions

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_WEIGH_EVERY = 5.0
"""Seconds between two looks at the memory."""
_MIB = 1024 * 1024


class Recycling:
    """`workers.max_requests`, `max_age` and `max_memory`."""

    def __init__(self, options: WorkerOptions) -> None:
        """The worker's age counts from now."""
        self._options = options
        self._since = time.monotonic()
        self._weigh_at = self._since

    def reason(self, requests: int, now: float) -> str:
        """Why this worker, which has answered so many requests, should be replaced; empty: it should not."""
        options = self._options
        if options.max_requests and requests >= options.max_requests:
            return f"workers.max_requests: it has answered {requests}"
        if options.max_age and now - self._since >= options.max_age:
            return f"workers.max_age: it is {now - self._since:.0f} s old"
        if options.max_memory and now >= self._weigh_at:
            self._weigh_at = now + _WEIGH_EVERY
            resident = resident_memory()
            if resident > options.max_memory:
                return f"workers.max_memory: its resident set has {resident // _MIB} MiB"
        return ""


def resident_memory() -> int:
    """The bytes of this process that are in memory, pages that it shares with others included: proc(5)."""
    return int(_STATM.read_bytes().split()[1]) * _PAGE
