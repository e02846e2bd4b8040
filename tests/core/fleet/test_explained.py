"""What the journal can explain is said with its id, and nothing else is."""

from __future__ import annotations

import pytest

from sdserve.core import catalog
from tests.core.fleet.story import Story, booting, full, rolling, trying


def worker_dies() -> Story:
    story = full(2)
    story.worker_exits(1, -11)
    return story


def worker_leaves() -> Story:
    story = full(2)
    story.is_told_to_stop()
    story.worker_exits(1, 0)
    return story


def worker_stalls() -> Story:
    story = full(2)
    story.worker_stalls(1)
    return story


def worker_goes_on() -> Story:
    story = worker_stalls()
    story.worker_recovers(1)
    return story


def candidate_is_refused() -> Story:
    story = full(2)
    story.is_told_to_reload(7)
    story.generation_is_refused(2)
    return story


def reload_is_undone() -> Story:
    story = rolling(3)
    story.worker_exits(4, -11)
    return story


def reload_is_done() -> Story:
    story = trying(1)
    story.worker_is_ready(2)
    return story


def nobody_starts() -> Story:
    story = booting(1)
    story.worker_exits(1, 3)
    return story


def stop() -> Story:
    story = full(2)
    story.is_told_to_stop()
    return story


@pytest.mark.parametrize(
    ("tell", "ids"),
    [
        (worker_dies, [catalog.WORKER_LOST]),
        (worker_leaves, []),
        (worker_stalls, [catalog.WORKER_STALLED]),
        (worker_goes_on, []),
        (candidate_is_refused, [catalog.RELOAD_FAILED]),
        (reload_is_undone, [catalog.WORKER_LOST, catalog.RELOAD_FAILED]),
        (reload_is_done, []),
        (nobody_starts, [catalog.WORKER_LOST, catalog.GIVING_UP]),
        (stop, []),
    ],
)
def test_ids(tell, ids):
    assert tell().explained == ids
