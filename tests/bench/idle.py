"""How often the processes of an idle sdserve wake up: what a laptop's battery or a full host notices."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tests.bench.cases import CASES
from tests.bench.servers import running

SECONDS = 5.0
SETTLE = 1.0
"""After the trial requests: connections are closed, start-up work is over."""
LIMIT = 2.0
"""Wake-ups of one thread per second."""


def measure(core: int) -> dict[str, float]:
    """Wake-ups per second of every thread of an sdserve with two threads that nobody talks to."""
    case = replace(next(case for case in CASES if case.interface == "wsgi"), threads=2)
    with running("sdserve", case, core=core) as server:
        time.sleep(SETTLE)
        before = {thread: switches(thread) for thread in server.threads()}
        time.sleep(SECONDS)
        return {label(thread): (switches(thread) - count) / SECONDS for thread, count in before.items()}


def switches(thread: Path) -> int:
    """Voluntary context switches so far: each is one sleep, hence one waking."""
    status = (thread / "status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def label(thread: Path) -> str:
    command = (thread.parent.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return f"thread {thread.name} of: {command}"
