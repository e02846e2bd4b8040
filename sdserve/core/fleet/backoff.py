"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from sdserve.core.fleet.options import FleetOptions

GROWTH = 1.5
_MOST_STEPS = 100
"""Beyond any sensible ratio of the two limits, and far from where a float overflows."""


def delay(options: FleetOptions, failures: int, *, served: bool) -> float:
    """Seconds to wait after so many `failures` in succession (1 or more).

    What has `served` is missed, and so the first time it is replaced at once. What fails before it
    serves is likely to fail again, so that hurry would only fill the log.
    """
    if served and failures == 1:
        return 0.0
    steps = min(max(failures - 2, 0), _MOST_STEPS)
    return float(min(options.backoff_longest, options.backoff_first * GROWTH**steps))


def failures_after(options: FleetOptions, failures: int, up_since: float | None, now: float) -> int:
    """How many failures in succession there are with one more at `now`, of what was up since `up_since`."""
    return 1 if was_healthy(options, up_since, now) else failures + 1


def was_healthy(options: FleetOptions, up_since: float | None, now: float) -> bool:
    """Whether what was up since `up_since` was so for long enough to be forgiven what was before."""
    return up_since is not None and now - up_since >= options.backoff_reset
