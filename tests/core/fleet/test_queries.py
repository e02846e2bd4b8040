from __future__ import annotations

from sdserve.core.fleet import queries
from tests.core.fleet.story import Story, booting, full, opened


def test_a_fleet_that_waits_for_nothing_has_no_deadline() -> None:
    assert queries.next_deadline(Story().fleet) is None
    assert queries.next_deadline(full().fleet) is None


def test_the_deadline_is_the_nearest_one() -> None:
    story = full(3)
    story.worker_wants_to_go(1)
    assert queries.next_deadline(story.fleet) == story.now + 60
    story.worker_comes_up(4)
    assert queries.next_deadline(story.fleet) == story.now + 30
    story.worker_exits(2, 1)
    story.worker_breaks(5)
    assert queries.next_deadline(story.fleet) == story.now + 1
    story.zygote_exits(1)
    story.zygote_is_not_started()
    assert queries.next_deadline(story.fleet) == story.now + 1


def test_a_slot_without_a_zygote_is_no_reason_to_wake_up() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    story.worker_breaks(2)
    story.zygote_exits(1)
    story.waits(0.5)
    assert queries.next_deadline(story.fleet) == story.generation.deadline


def test_a_slot_that_has_to_wait_for_others_to_be_forked_is_no_reason_to_wake_up() -> None:
    story = opened(20)
    assert queries.next_deadline(story.fleet) == story.now + 60


def test_ready_workers_are_counted() -> None:
    story = booting(3)
    assert queries.ready_count(story.fleet) == 0
    story.worker_is_ready(1)
    story.worker_is_ready(2)
    assert queries.ready_count(story.fleet) == 2
    assert not queries.all_ready(story.fleet)
    story.worker_is_ready(3)
    assert queries.all_ready(story.fleet)
