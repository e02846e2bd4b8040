"""Stories of workers that are replaced while they serve. Those of scaling are with what people ask for."""

from __future__ import annotations

from sdserve.core.fleet import queries
from sdserve.core.fleet.effects import CloseGeneration, Drain, Kill, KillZygote, NotifyStopping
from tests.core.fleet.story import fork, full, opened, rolling, trying


def test_a_worker_that_wants_to_go_is_replaced_and_goes_when_its_successor_is_ready() -> None:
    story = full(2)
    assert story.worker_wants_to_go(1, "max_requests") == [fork(3, slot=1)]
    assert story.log[-1] == ("worker 1 (slot 1, generation 1, pid 101) wants to be replaced: max_requests")
    assert story.status == "Serving, 2 of 2 workers ready"
    assert story.worker_is_forked(3) == []
    assert story.worker_is_ready(3) == [Drain(1, 1, heir=1)]
    assert story.status == "Serving, 2 of 2 workers ready, 1 draining"
    assert story.worker_exits(1, 0) == []
    assert story.slot(1).wish == ""


def test_asked_twice_is_asked_once() -> None:
    story = full(2)
    story.worker_wants_to_go(1, "max_requests")
    before = story.fleet
    assert story.worker_wants_to_go(1, "max_age") == []
    assert story.effects == []
    assert story.fleet == before


def test_wishes_are_granted_one_at_a_time_the_oldest_first() -> None:
    story = full(3, surge=2)
    assert story.worker_wants_to_go(3) == [fork(4, slot=3)]
    story.now += 1
    assert story.worker_wants_to_go(2) == []
    story.now += 1
    assert story.worker_wants_to_go(1) == []
    assert story.worker_comes_up(4) == [Drain(1, 3, heir=1), fork(5, slot=2)]
    assert story.worker_comes_up(5) == [Drain(1, 2, heir=1), fork(6, slot=1)]
    assert story.worker_comes_up(6) == [Drain(1, 1, heir=1)]


def test_a_successor_that_does_not_get_ready_leaves_its_predecessor_serving() -> None:
    story = full(2)
    story.worker_wants_to_go(1)
    assert story.worker_breaks(3) == []
    assert story.status == (
        "Serving, 2 of 2 workers ready, slot 1 died while it booted (exit code 1), next try in 1 s"
    )
    assert story.last_words.endswith("died while it booted (exit code 1); slot 1: next try in 1 s")
    assert queries.next_deadline(story.fleet) == story.now + 1
    assert story.waits(1) == [fork(4, slot=1)]
    assert story.status.endswith("trying again")
    assert story.worker_breaks(4) == []
    assert story.waits(0.9) == []
    assert story.worker_wants_to_go(2) == [fork(5, slot=2)], "meanwhile others may"
    assert story.waits(0.1) == []
    assert story.worker_comes_up(5) == [Drain(1, 2, heir=1), fork(6, slot=1)]
    assert story.worker_comes_up(6) == [Drain(1, 1, heir=1)]
    assert story.status == "Serving, 2 of 2 workers ready, 2 draining"


def test_a_wish_is_forgotten_with_its_worker() -> None:
    story = full(2)
    story.worker_wants_to_go(1)
    story.now += 1
    story.worker_wants_to_go(2)
    assert story.worker_exits(2, 1) == [fork(4, slot=2)]
    story.worker_comes_up(4)
    assert story.worker_comes_up(3) == [Drain(1, 1, heir=1)]


def test_a_successor_inherits_the_slot_even_before_it_is_ready() -> None:
    story = full(1)
    story.worker_wants_to_go(1)
    assert story.worker_exits(1, 1) == []
    assert (story.slot(1).occupant, story.slot(1).successor) == (2, None)
    assert story.worker_is_forked(2) == []
    assert story.worker_is_ready(2) == []
    assert story.status == "Serving, 1 of 1 workers ready"


def test_nobody_is_recycled_while_a_reload_is_under_way() -> None:
    story = trying(2)
    assert story.worker_wants_to_go(2) == []
    assert story.worker_is_ready(3) == [Drain(1, 1, heir=2), fork(4, slot=2, generation=2)]
    assert story.worker_wants_to_go(3) == []
    story.worker_is_forked(4)
    assert fork(5, slot=1, generation=2) in story.worker_is_ready(4)
    assert story.slot(2).wish == ""


def test_a_wish_that_waited_for_a_reload_which_failed_is_granted_then() -> None:
    story = trying(2)
    story.worker_wants_to_go(2)
    assert fork(4, slot=2) in story.worker_fails(3)


def test_a_worker_that_stalls_is_not_recycled_but_its_slot_is_when_it_goes_on() -> None:
    story = full(2)
    story.worker_stalls(1)
    assert story.worker_wants_to_go(1) == [fork(3, slot=1)]
    story.worker_is_forked(3)
    assert story.worker_is_ready(3) == [Drain(1, 1, heir=1)]
    assert story.waits(29.9) == [], "it may still turn to it"
    assert story.waits_in_vain(0.1) == [Kill(1, 1)]


def test_a_successor_lost_with_its_zygote_is_no_fault_of_the_slot() -> None:
    story = full(1)
    story.worker_wants_to_go(1)
    story.zygote_exits(1)
    assert story.slot(1).failures == 0
    assert story.zygote_is_ready() == [fork(3, slot=1)]


def test_successors_are_not_ordered_faster_than_zygotes_answer() -> None:
    story = rolling(12, surge=12)
    assert len(queries.unborn(story.fleet, 2)) == 8
    assert story.worker_is_forked(14) == [fork(22, slot=10, generation=2)]


def test_a_worker_ordered_for_a_slot_that_is_to_go_is_killed_at_its_birth() -> None:
    story = full(1)
    story.is_scaled_to(2)
    assert story.is_scaled_to(1) == []
    assert story.worker_is_forked(2) == [Kill(1, 2)]
    assert story.worker_exits(2, -9) == []
    assert (
        story.last_words == "worker 2 (slot 2, generation 1, pid 102) killed: told to go before it was born"
    )


def test_one_that_is_never_born_is_not_waited_for_longer_than_another() -> None:
    story = full(1)
    story.is_scaled_to(2)
    story.is_scaled_to(1)
    assert story.waits(30) == [Kill(1, 2), KillZygote(1)]


def test_a_service_that_needs_some_workers_is_up_with_these() -> None:
    story = opened(3, min_ready=2)
    assert story.worker_comes_up(1) == []
    assert story.status == "Booting, 1 of 3 workers ready"
    assert len(story.worker_comes_up(3)) == 1
    assert story.status == "Serving, 2 of 3 workers ready"
    assert story.last_words == "serving with 2 workers"


def test_a_service_cannot_need_more_workers_than_it_has() -> None:
    story = opened(1, min_ready=5)
    assert len(story.worker_comes_up(1)) == 1


def test_a_stop_cuts_a_replacement_short() -> None:
    story = full(1)
    story.worker_wants_to_go(1)
    story.worker_is_forked(2)
    assert story.is_told_to_stop() == [NotifyStopping(), Drain(1, 1), Kill(1, 2), CloseGeneration(1)]


def test_a_predecessor_that_was_healthy_makes_the_next_failure_the_first() -> None:
    story = full(1)
    story.waits(60)
    story.worker_wants_to_go(1)
    for serial in (2, 3, 4):
        story.worker_breaks(serial)
        story.waits(story.slot(1).delay)
    story.worker_comes_up(5)
    assert story.worker_exits(5, 1) == [fork(6, slot=1)]


def test_one_that_was_not_does_not() -> None:
    story = full(1)
    story.worker_wants_to_go(1)
    for serial in (2, 3):
        story.worker_breaks(serial)
        story.waits(story.slot(1).delay)
    story.worker_comes_up(4)
    assert story.worker_exits(4, 1) == []
    assert story.slot(1).delay == 1.5
