"""Stories of reloads that succeed, and of those that do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sdserve.core.fleet.effects import (
    CloseGeneration,
    Drain,
    DropGeneration,
    Effect,
    Kill,
    KillZygote,
    NotifyReady,
    NotifyReloading,
    OpenGeneration,
    PrepareGeneration,
    Reply,
)
from sdserve.core.fleet.model import Outcome, WorkerState
from tests.core.fleet.story import Story, fork, full, rolling, trying


def test_a_reload_replaces_everybody_one_after_the_other_each_ready_before_the_other_goes() -> None:
    story = full(3)
    assert story.is_told_to_reload(7) == [NotifyReloading(), PrepareGeneration(2)]
    assert story.generation_is_prepared(2) == [OpenGeneration(2)]
    assert story.zygote_is_ready(2) == [fork(4, slot=1, generation=2)]
    assert story.worker_is_forked(4) == []
    assert story.worker_is_ready(4) == [Drain(1, 1, heir=2), fork(5, slot=2, generation=2)]
    assert story.worker_exits(1, 0) == []
    assert story.worker_comes_up(5) == [Drain(1, 2, heir=2), fork(6, slot=3, generation=2)]
    assert story.worker_comes_up(6) == [
        Drain(1, 3, heir=2),
        Reply(7, ok=True, text="generation 2 serves with 3 workers"),
        CloseGeneration(1),
        NotifyReady(),
    ]
    assert story.status == "Serving, 3 of 3 workers ready, generation 2, 2 draining"
    assert story.zygote_exits(0) == []
    assert story.worker_exits(2, 0) == []
    assert story.worker_exits(3, 0) == [DropGeneration(1, heir=2)]
    assert story.fleet.last_reload == Outcome(
        generation=2, at=story.now, ok=True, text="generation 2 serves with 3 workers"
    )
    assert "generation 2 takes over from generation 1" in story.log
    assert "reload to generation 2 done: generation 2 serves with 3 workers" in story.log


def test_what_only_a_restart_can_change_is_said_with_the_success() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2, remark="listen:http: address needs a restart")
    story.zygote_is_ready(2)
    text = "generation 2 serves with 1 worker\nlisten:http: address needs a restart"
    assert Reply(7, ok=True, text=text) in story.worker_comes_up(2)


def test_several_are_replaced_at_a_time_if_there_may_be_so_many() -> None:
    story = full(4)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2, surge=2)
    assert story.zygote_is_ready(2) == [fork(5, slot=1, generation=2)], "the first one comes alone"
    assert story.worker_comes_up(5) == [
        Drain(1, 1, heir=2),
        fork(6, slot=2, generation=2),
        fork(7, slot=3, generation=2),
    ]
    assert story.worker_comes_up(7) == [Drain(1, 3, heir=2), fork(8, slot=4, generation=2)]


def test_a_reload_keeps_its_own_times() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2, boot_timeout=5.0, drain_timeout=1.0)
    assert story.waits(4.9) == []
    story.zygote_is_ready(2)
    story.worker_is_forked(2)
    assert story.waits(4.9) == []
    story.worker_is_ready(2)
    story.zygote_exits(0)
    assert story.waits(29.9) == []
    assert story.waits_in_vain(0.1) == [Kill(1, 1)], "it drains as long as it was meant to"


Failure = Callable[[Story], list[Effect]]

FAILURES = [
    pytest.param(
        lambda s: s.worker_fails(3, "no\ndatabase"), "first new worker failed: no\ndatabase", id="said"
    ),
    pytest.param(
        lambda s: s.worker_exits(3, 1), "first new worker died while it booted (exit code 1)", id="died"
    ),
    pytest.param(
        lambda s: s.waits_in_vain(60), "first new worker was killed: not ready within 60 s", id="late"
    ),
    pytest.param(
        lambda s: s.zygote_exits(1, generation=2), "new zygote died (exit code 1)", id="zygote-died"
    ),
    pytest.param(lambda s: s.zygote_fails("no", generation=2), "new zygote failed: no", id="zygote-said"),
]


@pytest.mark.parametrize(("fails", "trouble"), FAILURES)
def test_a_first_worker_that_fails_changes_nothing(fails: Failure, trouble: str) -> None:
    story = trying(2)
    before = story.fleet
    orders = fails(story)
    assert Reply(7, ok=False, text=f"the {trouble}") in orders
    assert orders[-1] == NotifyReady()
    assert not any(isinstance(order, Drain) for order in orders)
    assert (story.fleet.current, story.fleet.candidate, story.fleet.reload) == (1, 0, None)
    assert story.fleet.slots == {
        number: story.fleet.slots[number] for number in before.slots if story.slot(number).successor is None
    }
    assert [story.worker(serial) for serial in (1, 2)] == [before.workers[serial] for serial in (1, 2)]
    assert f"reload to generation 2 failed, generation 1 stays: the {trouble}" in story.log
    first_line = trouble.splitlines()[0]
    assert f"Serving, 2 of 2 workers ready, the reload to 2 failed: the {first_line}" in story.status


def test_a_generation_that_failed_is_dropped_when_everybody_of_it_is_gone() -> None:
    story = trying(1)
    assert story.worker_fails(2, "no") == [
        Reply(7, ok=False, text="the first new worker failed: no"),
        CloseGeneration(2),
        NotifyReady(),
    ]
    assert story.zygote_exits(0, generation=2) == []
    assert story.worker_exits(2, 3) == [DropGeneration(2, heir=1)]
    assert story.last_words == "worker 2 (slot 1, generation 2, pid 102) failed: no"
    assert sorted(story.fleet.generations) == [1]


@pytest.mark.parametrize(
    ("fails", "trouble"),
    [
        (lambda s: s.zygote_is_not_started("no venv", generation=2), "was not started: no venv"),
        (lambda s: s.zygote_exits(1, generation=2), "died (exit code 1)"),
    ],
)
def test_a_zygote_that_does_not_open_is_not_tried_again(fails: Failure, trouble: str) -> None:
    story = full(1)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    assert fails(story) == [
        Reply(7, ok=False, text=f"the new zygote {trouble}"),
        DropGeneration(2, heir=1),
        NotifyReady(),
    ]
    assert story.waits(1000) == []


def test_a_zygote_that_takes_too_long_to_open_is_not_waited_for() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    assert story.waits(60) == [
        KillZygote(2),
        Reply(7, ok=False, text="the new zygote was killed: not ready within 60 s"),
        NotifyReady(),
    ]
    assert story.zygote_exits(-9, generation=2) == [DropGeneration(2, heir=1)]


def test_a_zygote_given_up_while_it_opens_is_killed() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    assert story.is_told_to_reload(8) == [PrepareGeneration(3), KillZygote(2)]


def test_a_worker_that_crashes_during_a_trial_is_replaced_by_one_of_its_own_generation() -> None:
    story = trying(2)
    assert story.worker_exits(1, 1) == [fork(4, slot=1)]
    assert story.worker_is_forked(4) == []
    assert story.worker_is_ready(3) == [Kill(1, 4), fork(5, slot=2, generation=2)]
    assert story.fleet.slots[1].occupant == 3


def test_what_slots_suffered_is_not_the_new_generation_s_fault() -> None:
    story = full(2)
    story.worker_exits(2, 1)
    for serial in (3, 4, 5):
        story.worker_breaks(serial)
        story.waits(story.slot(2).delay)
    story.worker_breaks(6)
    assert story.slot(2).delay > 3
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    story.zygote_is_ready(2)
    assert story.worker_comes_up(7) == [Drain(1, 1, heir=2), fork(8, slot=2, generation=2)]
    assert (story.slot(2).trouble, story.slot(2).delay, story.slot(2).failures) == ("", 0.0, 0)


ROLLING_FAILURES = [
    pytest.param(
        lambda s: s.worker_breaks(5), "new worker of slot 2 died while it booted (exit code 1)", id="boot"
    ),
    pytest.param(lambda s: s.fork_fails(5), "new worker of slot 2 cannot be forked: EAGAIN", id="fork"),
    pytest.param(lambda s: s.worker_exits(4, -11), "new worker of slot 1 crashed (SIGSEGV)", id="crash"),
    pytest.param(lambda s: s.worker_fails(4, "no"), "new worker of slot 1 failed: no", id="fails"),
    pytest.param(lambda s: s.zygote_exits(1, generation=2), "new zygote died (exit code 1)", id="zygote"),
]


@pytest.mark.parametrize(("fails", "trouble"), ROLLING_FAILURES)
def test_a_reload_that_fails_while_it_rolls_goes_back(fails: Failure, trouble: str) -> None:
    story = rolling(3)
    orders = fails(story)
    assert Reply(7, ok=False, text=f"the {trouble}; going back to generation 1") in orders
    assert NotifyReady() in orders
    assert story.fleet.current == 1
    assert f"reload to generation 2 failed: the {trouble}; going back to generation 1" in story.log
    assert story.fleet.last_reload is not None
    assert not story.fleet.last_reload.ok


def test_going_back_replaces_ready_before_retire_too() -> None:
    story = rolling(3)
    story.worker_comes_up(5)
    assert story.worker_breaks(6) == [
        Reply(
            7,
            ok=False,
            text="the new worker of slot 3 died while it booted (exit code 1); going back to generation 1",
        ),
        Drain(1, 1, heir=1),  # who drains already is told as well
        Drain(1, 2, heir=1),
        fork(7, slot=1),
        CloseGeneration(2),
        NotifyReady(),
    ]
    assert story.status == (
        "Serving, 3 of 3 workers ready, rolling to 1: 1 of 3 rolled, the reload to 2 failed: the new worker "
        "of slot 3 died while it booted (exit code 1); going back to generation 1, 2 draining"
    )
    assert story.worker_comes_up(7) == [Drain(2, 4, heir=1), fork(8, slot=2)]
    assert story.zygote_exits(0, generation=2) == []
    assert story.worker_comes_up(8) == [Drain(2, 5, heir=1)]
    assert story.worker_exits(4, 0) == []
    assert story.worker_exits(5, 0) == [DropGeneration(2, heir=1)]


def test_the_old_generation_s_crash_does_not_undo_a_reload_either() -> None:
    story = rolling(2)
    assert story.worker_exits(2, 1) == [], "its successor is on its way"
    assert story.slot(2).occupant == 4
    assert story.fleet.reload is not None
    story.worker_comes_up(4)
    assert story.fleet.last_reload is not None
    assert story.fleet.last_reload.ok


def test_to_go_back_a_lost_zygote_is_opened_again() -> None:
    story = rolling(2)
    assert story.zygote_exits(-9, generation=1) == []
    assert story.worker_breaks(4) == [OpenGeneration(1)]
    assert story.fleet.current == 2
    assert story.status == (
        "Serving, 2 of 2 workers ready, generation 2, going back to 1 as soon as its zygote is open, "
        "1 draining, slot 2 died while it booted (exit code 1), next try in 1 s"
    )
    assert story.waits(10) == [], "nobody else is replaced by what has failed"
    assert story.zygote_is_ready(1)[0] == Reply(
        7,
        ok=False,
        text="the new worker of slot 2 died while it booted (exit code 1); going back to generation 1",
    )
    assert story.fleet.current == 1


def test_to_go_back_a_zygote_that_is_just_opening_is_waited_for_and_slots_are_not_left_vacant() -> None:
    story = rolling(2)
    story.zygote_exits(-9, generation=1)
    story.worker_is_forked(4)
    assert story.worker_exits(3, 1) == [OpenGeneration(1), fork(5, slot=1, generation=2)]


def test_if_it_cannot_go_back_it_goes_on_and_says_so() -> None:
    story = rolling(2)
    story.zygote_exits(-9, generation=1)
    story.worker_breaks(4)
    text = (
        "the new worker of slot 2 died while it booted (exit code 1); "
        "going on with generation 2, for there is none to go back to"
    )
    assert story.zygote_is_not_started(generation=1) == [Reply(7, ok=False, text=text), NotifyReady()]
    assert story.fleet.previous == 0
    assert story.waits(1) == [fork(5, slot=2, generation=2)]
    assert story.worker_comes_up(5) == [Drain(1, 2, heir=2)]
    assert story.worker_exits(1, 0) == []
    assert story.worker_exits(2, 0) == [DropGeneration(1, heir=2)]


def test_a_stalled_worker_of_the_new_generation_undoes_a_reload_when_it_is_killed() -> None:
    story = rolling(2)
    story.worker_stalls(3)
    assert story.fleet.reload is not None
    assert story.waits(1)[0] == Kill(2, 3)
    assert story.fleet.current == 1
    assert story.worker(3).state is WorkerState.KILLED


def test_a_canary_that_has_to_wait_for_a_slot_gets_the_next_one() -> None:
    story = full(1)
    story.worker_wants_to_go(1)
    story.worker_is_forked(2)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    assert story.zygote_is_ready(2) == []
    assert story.status.endswith("reloading to 2: its first worker waits for a slot")
    assert story.worker_is_ready(2) == [Drain(1, 1, heir=1), fork(3, slot=1, generation=2)]


def test_a_canary_in_a_slot_that_is_to_go_is_not_disturbed() -> None:
    story = full(2)
    story.worker_wants_to_go(1)
    story.worker_is_forked(3)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    assert story.zygote_is_ready(2) == [fork(4, slot=2, generation=2)]
    assert story.is_scaled_to(1) == []
    story.worker_is_forked(4)
    orders = story.worker_fails(4)
    assert Drain(1, 2, heir=1) in orders
    assert sorted(story.fleet.slots) == [1]
