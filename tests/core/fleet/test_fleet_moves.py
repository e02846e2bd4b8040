"""Stories of starting and stopping."""

from __future__ import annotations

from sdserve.core.fleet import events, queries
from sdserve.core.fleet.effects import (
    CloseGeneration,
    Drain,
    DropGeneration,
    Dump,
    Exit,
    Kill,
    KillZygote,
    NotifyReady,
    NotifyStatus,
    NotifyStopping,
)
from sdserve.core.fleet.model import Phase
from tests.core.fleet.story import Story, booting, full, opened


def test_stop_drains_everybody_and_ends_when_the_last_is_gone() -> None:
    story = full()
    assert story.is_told_to_stop() == [NotifyStopping(), Drain(1, 1), Drain(1, 2), CloseGeneration(1)]
    assert story.last_words == "stopping"
    assert story.status == "Stopping, 2 workers draining"
    assert story.worker_exits(1, 0) == []
    assert story.status == "Stopping, 1 worker draining"
    assert story.zygote_exits(0) == []
    assert story.worker_exits(2, 0) == [DropGeneration(1), Exit(0)]
    assert story.fleet.phase is Phase.ENDED


def test_nobody_is_replaced_while_stopping() -> None:
    story = full()
    story.worker_exits(1, 1)
    story.worker_comes_up(3)
    story.worker_exits(3, 1)
    story.is_told_to_stop()
    assert story.worker_exits(2, 1) == []
    assert story.waits(2) == []


def test_no_zygote_is_replaced_while_stopping() -> None:
    story = full()
    story.zygote_exits(1)
    story.zygote_is_ready()
    story.zygote_exits(1)
    story.is_told_to_stop()
    assert story.waits(2) == []


def test_who_does_not_drain_in_time_is_killed() -> None:
    story = full()
    story.is_told_to_stop()
    story.zygote_exits(0)
    story.worker_exits(1, 0)
    assert story.waits(29.9) == []
    assert story.waits_in_vain(0.1) == [Kill(1, 2)]
    assert story.status == "Stopping, 1 worker killed"
    assert queries.next_deadline(story.fleet) is None
    assert story.worker_exits(2, -9) == [DropGeneration(1), Exit(0)]


def test_asked_again_it_stops_at_once() -> None:
    story = full()
    story.is_told_to_stop()
    assert story.is_told_to_stop() == [Kill(1, 1), Kill(1, 2), KillZygote(1)]
    assert story.last_words == "asked to stop at once, killing 2 workers"
    assert story.status == "Stopping, 2 workers killed"
    assert story.is_told_to_stop() == []
    assert story.worker_exits(1, -9) == []
    assert story.zygote_exits(-9) == []
    assert story.worker_exits(2, -9) == [DropGeneration(1), Exit(0)]


def test_a_zygote_that_failed_is_not_killed_twice() -> None:
    story = full()
    story.zygote_fails()
    story.is_told_to_stop()
    assert story.is_told_to_stop() == [Kill(1, 1), Kill(1, 2)]


def test_asked_before_anything_runs_it_ends_at_once() -> None:
    story = Story()
    assert story.is_told_to_stop() == [NotifyStopping(), Exit(0)]


def test_asked_while_it_boots_it_kills_who_has_nothing_to_finish() -> None:
    story = booting(2)
    assert story.worker_is_ready(1) == []
    assert story.is_told_to_stop() == [NotifyStopping(), Drain(1, 1), Kill(1, 2), CloseGeneration(1)]
    assert story.zygote_exits(0) == []
    assert story.worker_exits(1, 0) == []
    assert story.worker_exits(2, -9) == [DropGeneration(1), Exit(0)]


def test_asked_while_it_forks_it_keeps_the_zygote_until_that_has_answered() -> None:
    story = opened(2)
    assert story.is_told_to_stop() == [NotifyStopping()]
    assert story.worker_is_forked(1) == [Kill(1, 1)]
    assert story.worker_is_forked(2) == [Kill(1, 2), CloseGeneration(1)]


def test_asked_twice_while_it_forks_it_does_not_wait_for_the_zygote_either() -> None:
    story = opened(1)
    story.is_told_to_stop()
    assert story.is_told_to_stop() == [Kill(1, 1), KillZygote(1)]
    assert story.zygote_exits(-9) == [DropGeneration(1), Exit(0)]


def test_a_zygote_that_owes_an_answer_does_not_delay_the_end() -> None:
    story = opened(1)
    story.is_told_to_stop()
    assert story.waits(29.9) == []
    assert story.waits(0.1) == [Kill(1, 1), KillZygote(1)]
    assert story.last_words == "worker 1 (slot 1, generation 1): its zygote does not answer, killing it"
    assert story.zygote_exits(-9) == [DropGeneration(1), Exit(0)]


def test_a_stop_gives_a_zygote_that_hangs_no_more_time() -> None:
    story = opened(1)
    story.waits(50)
    story.is_told_to_stop()
    assert story.waits(10) == [Kill(1, 1), KillZygote(1)]


def test_a_zygote_that_answers_late_has_no_new_time_to_go() -> None:
    story = opened(1)
    story.is_told_to_stop()
    story.now += 20
    assert story.worker_is_forked(1) == [Kill(1, 1), CloseGeneration(1)]
    assert story.waits(10) == [KillZygote(1)]


def test_who_was_leaving_before_keeps_the_shorter_deadline() -> None:
    story = full(4, boot_timeout=100.0)
    story.tell(events.ScaleChanged(-1))
    story.worker_exits(1, 1)
    story.worker_is_forked(5)
    story.worker_fails(5)
    story.waits(10)
    assert story.is_told_to_stop() == [
        NotifyStopping(),
        Drain(1, 2),
        Drain(1, 3),
        Drain(1, 4),  # once more, for there are no heirs any more
        CloseGeneration(1),
    ]
    assert story.waits_in_vain(20) == [Kill(1, 4)]
    assert story.waits(9) == [Dump(1, 2), Dump(1, 3), Dump(1, 5), KillZygote(1)]
    assert story.waits(1) == [Kill(1, 2), Kill(1, 3), Kill(1, 5)]


def test_who_was_killed_before_is_neither_drained_nor_killed_again() -> None:
    story = booting(2)
    story.worker_is_ready(1)
    story.waits(60)
    assert Drain(1, 2) not in story.is_told_to_stop()
    assert story.is_told_to_stop() == [Kill(1, 1), KillZygote(1)]


def test_after_the_exit_nothing_is_heard() -> None:
    story = Story()
    story.is_told_to_stop()
    end = story.fleet
    for event in (
        events.Started(),
        events.StopAsked(),
        events.TimePassed(),
        events.ZygoteReady(1),
        events.WorkerForked(generation=1, serial=1, pid=7),
    ):
        story.tell(event)
        assert story.effects == []
    assert story.fleet == end


def test_it_starts_once() -> None:
    story = full()
    before = story.fleet
    assert story.starts() == []
    assert story.fleet == before
    assert "contradicts" in story.last_words


def test_time_means_nothing_before_the_start() -> None:
    story = Story()
    before = story.fleet
    assert story.waits(100) == []
    assert story.fleet == before


def test_good_news_in_the_queue_saves_a_worker_that_is_late() -> None:
    story = booting(2)
    story.now += 60
    assert story.worker_is_ready(1) == []
    assert story.worker_is_ready(2) == [NotifyReady()]


def test_the_status_is_known_before_readiness_is() -> None:
    story = booting(1)
    story.worker_is_ready(1)
    told = [effect for effect in story.effects if isinstance(effect, (NotifyReady, NotifyStatus))]
    assert told == [NotifyStatus("Serving, 1 of 1 workers ready"), NotifyReady()]


def test_a_fleet_that_nobody_needs_stops_with_success() -> None:
    story = full(1)
    assert story.goes_idle(600.0) == [NotifyStopping(), Drain(1, 1), CloseGeneration(1)]
    assert "no connection for 600 s, so the service is not needed" in story.log
    story.zygote_exits()
    assert story.worker_exits(1)[-1] == Exit(0)


def test_a_fleet_that_is_reloaded_or_not_up_yet_is_needed() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    before = story.fleet
    assert story.goes_idle() == []
    assert story.fleet == before
    story = booting(1)
    before = story.fleet
    assert story.goes_idle() == []
    assert story.fleet == before
