"""The only place in these tests where time passes: wait for a condition, up to a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 20.0
"""What any one step inside a container may take on a busy machine; reached only when a test fails."""

POLL_SECONDS = 0.01


def wait_for(condition: Callable[[], T], *, what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Return the first truthy answer of `condition`; AssertionError naming `what` when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not so after {seconds:g} s: {what}; the last answer was {answer!r}")
        time.sleep(POLL_SECONDS)
    return answer


def let_pass(seconds: float) -> float:
    """Let a measuring window pass and return its true length. Not for waiting until something is done."""
    begin = time.monotonic()
    wait_for(
        lambda: time.monotonic() - begin >= seconds, what="the measuring window is over", seconds=seconds + 5
    )
    return time.monotonic() - begin
