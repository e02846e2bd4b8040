"""Stories of zygotes."""

from __future__ import annotations

import pytest

from sdserve.core.fleet import events
from sdserve.core.fleet.effects import (
    CloseGeneration,
    Drain,
    DropGeneration,
    Exit,
    Fork,
    Kill,
    KillZygote,
    Log,
    NotifyStopping,
    OpenGeneration,
)
from sdserve.core.fleet.model import ZygoteState
from tests.core.fleet.story import Story, booting, fork, full, opened


def test_workers_are_forked_once_the_zygote_is_ready() -> None:
    story = Story(2)
    assert story.starts() == [OpenGeneration(1)]
    assert story.status == "Booting, 0 of 2 workers ready"
    assert story.zygote_is_ready() == [fork(1, slot=1), fork(2, slot=2)]


def test_a_zygote_that_cannot_be_started_ends_a_service_that_never_was() -> None:
    story = Story(2)
    story.starts()
    assert story.zygote_is_not_started("no venv") == [NotifyStopping(), DropGeneration(1), Exit(3)]
    assert story.status == "Failed: zygote was not started: no venv"
    assert story.log == [
        "zygote of generation 1 was not started: no venv",
        "giving up: zygote was not started: no venv",
    ]


def test_a_zygote_that_fails_ends_a_service_that_never_was() -> None:
    story = Story(2)
    story.starts()
    assert story.zygote_fails("No module named 'shop'") == [KillZygote(1)]
    assert story.zygote_fails("again") == []
    assert story.waits(1000) == []
    assert story.zygote_exits(1) == [NotifyStopping(), DropGeneration(1), Exit(3)]
    assert story.status == "Failed: zygote failed: No module named 'shop'"


def test_a_zygote_that_dies_while_it_opens_ends_a_service_that_never_was() -> None:
    story = Story(2)
    story.starts()
    assert story.zygote_exits(-11) == [NotifyStopping(), DropGeneration(1), Exit(3)]
    assert story.status == "Failed: zygote died (SIGSEGV)"


def test_a_zygote_that_hangs_while_it_opens_is_killed() -> None:
    story = Story(2, boot_timeout=5.0)
    story.starts()
    assert story.sleeps_until_the_deadline() == [KillZygote(1)]
    assert story.waits(1000) == []
    assert story.zygote_is_ready() == []
    assert story.zygote_fails() == []
    assert story.zygote_exits(-9) == [NotifyStopping(), DropGeneration(1), Exit(3)]
    assert story.status == "Failed: zygote killed: not ready within 5 s"


def test_a_zygote_that_dies_later_is_replaced_and_the_workers_do_not_care() -> None:
    story = full()
    workers = story.fleet.workers
    assert story.zygote_exits(-9) == [OpenGeneration(1)]
    assert story.fleet.workers == workers
    assert story.status == (
        "Serving, 2 of 2 workers ready, zygote died (SIGKILL from outside, as when memory runs out)"
    )
    assert story.zygote_is_ready() == []
    assert story.status == "Serving, 2 of 2 workers ready"


def test_a_zygote_that_dies_again_and_again_is_replaced_ever_later() -> None:
    story = full()
    story.zygote_exits(1)
    for seconds in (1, 1.5, 2.25):
        story.zygote_is_ready()
        assert story.zygote_exits(1) == []
        assert story.status == (
            f"Serving, 2 of 2 workers ready, zygote died (exit code 1), next try in {round(seconds, 1)} s"
        )
        assert story.waits(seconds - 0.001) == []
        assert story.waits(0.001) == [OpenGeneration(1)]


def test_a_zygote_s_healthy_minute_makes_the_next_death_the_first() -> None:
    story = full()
    story.zygote_exits(1)
    story.zygote_is_ready()
    story.waits(60)
    assert story.zygote_exits(1) == [OpenGeneration(1)]


def test_a_zygote_that_cannot_be_replaced_does_not_end_a_service_that_works() -> None:
    story = full()
    story.zygote_exits(1)
    assert story.zygote_is_not_started("no venv") == []
    assert "zygote was not started: no venv, next try in 1 s" in story.status
    assert story.waits(1) == [OpenGeneration(1)]
    assert story.zygote_fails("half an upgrade") == [KillZygote(1)]
    assert story.zygote_exits(-9) == []
    assert "zygote failed: half an upgrade, next try in 1.5 s" in story.status


def test_a_slot_waits_for_the_next_zygote() -> None:
    story = full()
    story.zygote_exits(1)
    assert story.worker_exits(2, 1) == []
    assert story.status == (
        "Serving, 1 of 2 workers ready, slot 2 crashed (exit code 1), next try with the next zygote, "
        "zygote died (exit code 1)"
    )
    assert story.zygote_is_ready() == [fork(3, slot=2)]


def test_forks_are_lost_with_their_zygote() -> None:
    story = full()
    story.worker_exits(2, 1)
    assert story.zygote_exits(-9) == [OpenGeneration(1)]
    assert set(story.fleet.workers) == {1}
    assert story.zygote_is_ready() == [fork(4, slot=2)]


def test_lost_forks_are_not_held_against_their_slots() -> None:
    story = full()
    story.worker_exits(2, 1)
    story.zygote_exits(-9)
    assert story.slot(2).failures == 1
    assert story.status == (
        "Serving, 1 of 2 workers ready, slot 2 crashed (exit code 1), next try with the next zygote, "
        "zygote died (SIGKILL from outside, as when memory runs out)"
    )
    story.zygote_is_ready()
    story.worker_comes_up(4)
    story.worker_exits(4, 1)
    assert story.slot(2).delay == 1


def test_a_zygote_that_dies_three_times_before_anybody_served_ends_the_service() -> None:
    story = opened()
    assert story.zygote_exits(-11) == [OpenGeneration(1)]
    assert story.zygote_is_ready() == [fork(3, slot=1), fork(4, slot=2)]
    assert story.zygote_exits(-11) == []
    assert story.waits(1) == [OpenGeneration(1)]
    story.zygote_is_ready()
    assert story.zygote_exits(-11) == [NotifyStopping(), DropGeneration(1), Exit(3)]
    assert story.status == "Failed: zygote died (SIGSEGV)"


def test_a_zygote_that_dies_any_number_of_times_does_not_end_a_service_that_has_served() -> None:
    story = full()
    assert story.zygote_exits(-11) == [OpenGeneration(1)]
    for _ in range(20):
        assert story.zygote_is_ready() == []
        assert story.zygote_exits(-11) == []
        assert story.sleeps_until_the_deadline() == [OpenGeneration(1)]
    assert story.generation.delay == 30


def test_a_fork_reported_lost_before_its_zygote_is_not_ordered_from_the_dead() -> None:
    story = full()
    story.worker_exits(2, 1)
    assert story.fork_fails(3, "its zygote died") == []
    assert story.zygote_exits(-9) == [OpenGeneration(1)]


def test_a_zygote_that_dies_after_it_was_ready_has_another_try_before_anybody_served() -> None:
    story = booting()
    assert story.zygote_exits(-9) == [OpenGeneration(1)]
    assert story.zygote_is_not_started("no venv")[-1] != Exit(3)
    assert story.status.startswith("Failed: zygote was not started: no venv, 2 workers killed")


def test_a_zygote_that_says_it_can_fork_no_more_is_replaced() -> None:
    story = full()
    assert story.zygote_fails("threads are running") == [KillZygote(1)]
    assert story.worker_exits(2, 1) == []
    assert story.zygote_exits(-9) == [OpenGeneration(1)]


def test_only_so_many_forks_are_asked_for_at_once() -> None:
    story = opened(20)
    forks = [effect for effect in story.effects if isinstance(effect, Fork)]
    assert [order.slot for order in forks] == list(range(1, 9))
    assert story.worker_is_forked(3) == [fork(9, slot=9)]
    assert story.waits(0.001) == []


def test_a_hanging_zygote_takes_the_rest_of_its_forks_along() -> None:
    story = full(3, boot_timeout=10.0)
    story.worker_exits(2, 1)
    story.waits(5)
    story.worker_exits(3, 1)
    assert story.waits(5) == [Kill(1, 4), KillZygote(1)]
    assert story.zygote_exits(-9) == [OpenGeneration(1)]
    assert set(story.fleet.workers) == {1}


def test_a_zygote_that_was_killed_before_is_not_killed_for_the_forks_it_owes() -> None:
    story = full(boot_timeout=10.0)
    story.worker_exits(2, 1)
    assert story.zygote_fails("out of memory") == [KillZygote(1)]
    assert story.waits(10) == [Kill(1, 3)]


@pytest.mark.parametrize(
    "event",
    [
        events.ZygoteReady(2),
        events.ZygoteNotStarted(2, ""),
        events.ZygoteFailed(2, ""),
        events.ZygoteExited(2, 0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_news_of_another_generation_s_zygote_is_no_news(event: events.ZygoteEvent) -> None:
    story = full()
    before = story.fleet
    assert story.tell(event) == []
    assert story.fleet == before


def test_a_zygote_told_to_go_goes_whatever_it_says() -> None:
    story = full(1)
    assert story.is_told_to_stop() == [NotifyStopping(), Drain(1, 1), CloseGeneration(1)]
    assert story.zygote_fails() == []
    assert story.generation.zygote is ZygoteState.CLOSING
    assert story.zygote_exits(1) == []
    assert story.log[-1] == "stopping"
    assert story.worker_exits(1, 0) == [DropGeneration(1), Exit(0)]


def test_a_zygote_is_not_given_time_to_finish_opening_when_asked_to_stop() -> None:
    story = Story(2)
    story.starts()
    assert story.is_told_to_stop() == [NotifyStopping(), KillZygote(1)]
    assert story.is_told_to_stop() == []
    assert story.zygote_is_ready() == []
    assert story.zygote_exits(-9) == [DropGeneration(1), Exit(0)]
    assert story.last_words == "zygote of generation 1 killed: not needed any more while it was opening"


def test_a_zygote_that_is_killed_but_was_never_there_is_not_waited_for() -> None:
    story = Story(2)
    story.starts()
    story.is_told_to_stop()
    assert story.zygote_is_not_started() == [DropGeneration(1), Exit(0)]


def test_a_zygote_told_to_go_that_stays_is_killed() -> None:
    story = full(1)
    story.is_told_to_stop()
    story.worker_exits(1, 0)
    assert story.sleeps_until_the_deadline() == [KillZygote(1)]
    assert story.last_words == "zygote of generation 1: does not exit, killing it"
    assert story.zygote_exits(-9) == [DropGeneration(1), Exit(0)]


def test_a_zygote_that_died_while_it_opened_has_no_deadline_any_more() -> None:
    story = full(backoff_first=100.0, backoff_longest=100.0)
    story.zygote_exits(1)
    story.zygote_exits(1)
    assert story.waits(99) == []
    assert story.waits(1) == [OpenGeneration(1)]


def test_while_a_zygote_is_missing_nobody_speaks_for_it() -> None:
    story = full()
    story.zygote_exits(1)
    story.zygote_exits(1)
    before = story.fleet
    for tell in (story.zygote_is_ready, story.zygote_is_not_started, story.zygote_fails, story.zygote_exits):
        assert tell() == []
        assert story.fleet == before
        assert "contradicts" in story.last_words
        story.log.clear()


@pytest.mark.parametrize("state", [ZygoteState.OPEN, ZygoteState.FAILED, ZygoteState.CLOSING])
def test_a_zygote_that_was_there_can_neither_open_again_nor_not_have_been_started(
    state: ZygoteState,
) -> None:
    story = full()
    if state is ZygoteState.FAILED:
        story.zygote_fails()
    elif state is ZygoteState.CLOSING:
        story.is_told_to_stop()
    assert story.generation.zygote is state
    before = story.fleet
    for tell in (story.zygote_is_ready, story.zygote_is_not_started):
        assert tell() == []
        assert story.fleet == before
        assert "contradicts" in story.last_words
        story.log.clear()


def test_the_death_of_a_zygote_is_an_error_unless_it_was_to_die() -> None:
    story = full()
    story.zygote_exits(-11)
    assert Log("error", "zygote of generation 1 died (SIGSEGV)") in story.effects
    story.zygote_is_ready()
    story.is_told_to_stop()
    story.is_told_to_stop()
    story.zygote_exits(-9)
    assert Log("info", "zygote of generation 1 killed: asked to stop at once") in story.effects
