"""Stories of workers."""

from __future__ import annotations

import pytest

from sdserve.core.fleet import events
from sdserve.core.fleet.effects import (
    CloseGeneration,
    Drain,
    DropGeneration,
    Dump,
    Exit,
    Kill,
    KillZygote,
    Log,
    NotifyStopping,
    Serve,
)
from sdserve.core.fleet.model import DUMP_TIME, Phase, WorkerState
from tests.core.fleet.story import Story, booting, fork, full, opened, trying


def test_a_ready_worker_that_crashes_is_replaced_at_once() -> None:
    story = full()
    assert story.worker_exits(2, -11) == [fork(3, slot=2)]
    assert story.status == "Serving, 1 of 2 workers ready, slot 2 crashed (SIGSEGV), trying again"
    assert story.last_words == (
        "worker 2 (slot 2, generation 1, pid 102) crashed (SIGSEGV); slot 2: next try at once"
    )
    assert story.worker_comes_up(3) == []
    assert story.last_words == "worker 3 (slot 2, generation 1, pid 103) is ready"
    assert story.status == "Serving, 2 of 2 workers ready"


def test_a_worker_is_told_to_serve_when_it_is_ready_and_only_then() -> None:
    story = booting()
    story.worker_is_ready(1)
    assert story.effects[0] == Serve(1, 1)
    for serial in (1, 2):
        story.worker_is_ready(serial)
        assert (Serve(1, serial) in story.effects) == (serial == 2)


def test_a_worker_that_gets_ready_too_late_is_not_told_to_serve() -> None:
    story = trying()
    story.is_told_to_reload()  # the canary is not needed any more
    assert Kill(2, 3) in story.effects
    story.worker_is_ready(3)
    assert story.effects == []


def test_a_worker_that_misses_its_deadline_is_seen_before_it_is_killed() -> None:
    story = booting(1)
    assert story.waits(60) == [Dump(1, 1)]
    assert story.last_words.endswith("pid 101): not ready within 60 s, asking for its stacks")
    assert story.waits(DUMP_TIME - 0.001) == []
    assert story.waits(0.001) == [Kill(1, 1)]


def test_a_worker_that_makes_it_in_the_last_moment_serves_and_is_seen_again_when_it_drains() -> None:
    story = booting(1)
    story.waits(60)
    story.worker_is_ready(1)
    assert story.effects[0] == Serve(1, 1)
    story.is_told_to_stop()
    assert Dump(1, 1) in story.waits(30)
    assert story.waits(DUMP_TIME) == [Kill(1, 1)]


@pytest.mark.parametrize("fails", [True, False])
def test_a_worker_that_stalled_and_does_not_drain_is_seen_again(fails: bool) -> None:
    story = full(1)
    story.worker_stalls(1)
    if fails:
        story.worker_fails(1)
    else:
        story.is_told_to_stop()
    assert Dump(1, 1) in story.waits(30)


def test_a_worker_that_stalls_once_more_is_seen_once_more() -> None:
    story = full(1)
    for _ in range(2):
        assert story.worker_stalls(1) == [Dump(1, 1)]
        story.worker_recovers(1)
    assert story.worker(1).is_dumped is False


def test_a_worker_that_crashes_again_and_again_is_replaced_ever_later() -> None:
    story = full(1)
    assert story.worker_exits(1, 1) == [fork(2, slot=1)]
    for serial, seconds in [(2, 1), (3, 1.5), (4, 2.25)]:
        story.worker_comes_up(serial)
        assert story.worker_exits(serial, 1) == []
        assert story.waits(seconds - 0.001) == []
        assert story.waits(0.001) == [fork(serial + 1, slot=1)]


def test_a_healthy_minute_makes_the_next_crash_the_first() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    story.worker_comes_up(2)
    story.waits(60)
    assert story.worker_exits(2, 1) == [fork(3, slot=1)]


def test_a_minute_of_booting_is_not_a_healthy_one() -> None:
    story = full(1, boot_timeout=100.0)
    story.worker_exits(1, 1)
    story.worker_is_forked(2)
    story.waits(70)
    story.worker_is_ready(2)
    assert story.worker_exits(2, 1) == []
    assert story.slot(1).delay == 1


def test_crashes_of_one_slot_do_not_slow_another() -> None:
    story = full(2)
    story.worker_exits(1, 1)
    story.worker_comes_up(3)
    story.worker_exits(3, 1)
    assert story.worker_exits(2, 1) == [fork(4, slot=2)]


def test_what_befell_a_slot_is_forgotten_by_the_status_once_it_is_ready_but_not_by_the_back_off() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    story.worker_comes_up(2)
    assert story.status == "Serving, 1 of 1 workers ready"
    story.worker_exits(2, 1)
    assert story.status == "Not serving, 0 of 1 workers ready, slot 1 crashed (exit code 1), next try in 1 s"


def test_a_successor_that_does_not_boot_is_not_hurried() -> None:
    story = full()
    story.worker_exits(2, 1)
    story.worker_is_forked(3)
    story.worker_fails(3, "no database\nat line 3")
    assert story.worker_exits(3, 3) == []
    assert story.status == ("Serving, 1 of 2 workers ready, slot 2 failed: no database, next try in 1 s")
    assert "failed: no database\nat line 3; slot 2: next try in 1 s" in story.last_words
    assert story.waits(1) == [fork(4, slot=2)]


def test_a_worker_that_failed_keeps_its_slot_until_it_is_gone() -> None:
    story = full()
    story.worker_exits(2, 1)
    story.worker_is_forked(3)
    assert story.worker_fails(3) == []
    assert story.waits(59) == []
    assert story.worker(3).state is WorkerState.FAILED


def test_a_worker_that_failed_and_stays_is_killed_in_the_end() -> None:
    story = booting()
    story.worker_is_ready(1)
    story.worker_fails(2, "no database")
    assert story.waits_in_vain(60) == [Kill(1, 2)]
    assert story.last_words.endswith("pid 102): failed and does not exit: no database, killing it")
    assert story.worker_exits(2, -9) == []
    assert story.slot(2).trouble == "killed: failed and does not exit: no database"


def test_a_worker_that_fails_after_it_was_ready_may_finish_what_it_has() -> None:
    story = full()
    assert story.worker_fails(2, "lost its database") == []
    assert story.status == "Serving, 1 of 2 workers ready"
    assert story.waits(29) == []
    assert story.waits_in_vain(1) == [Kill(1, 2)]


def test_the_first_reason_for_a_failure_is_the_one() -> None:
    story = full()
    story.worker_fails(2, "the cause")
    story.worker_fails(2, "the consequence")
    story.worker_exits(2, 3)
    assert "failed: the cause;" in story.last_words


def test_a_worker_not_ready_in_time_is_killed_and_replaced_when_it_is_gone() -> None:
    story = full(boot_timeout=10.0)
    story.worker_exits(2, 1)
    story.worker_is_forked(3)
    assert story.waits(9.9) == []
    assert story.waits_in_vain(0.1) == [Kill(1, 3)]
    assert story.last_words == "worker 3 (slot 2, generation 1, pid 103): not ready within 10 s, killing it"
    assert story.worker_is_ready(3) == []
    assert story.waits(100) == []
    assert story.worker_exits(3, -9) == []
    assert "killed: not ready within 10 s, next try in 1 s" in story.status
    assert story.waits(1) == [fork(4, slot=2)]


def test_booting_is_timed_from_the_order_to_fork() -> None:
    story = opened(boot_timeout=10.0)
    story.waits(6)
    story.worker_is_forked(1)
    story.worker_is_forked(2)
    assert story.waits_in_vain(4) == [Kill(1, 1), Kill(1, 2)]


def test_a_ready_worker_has_no_deadline() -> None:
    story = full()
    assert story.waits(10**6) == []


def replaced() -> Story:
    """Two slots; worker 3 has taken over the first one, which worker 1 held, who drains."""
    story = full()
    assert story.worker_wants_to_go(1) == [fork(3, slot=1)]
    assert story.worker_comes_up(3) == [Drain(1, 1, heir=1)]
    return story


def test_a_worker_that_was_told_to_drain_ends_by_itself() -> None:
    story = replaced()
    assert story.status == "Serving, 2 of 2 workers ready, 1 draining"
    assert story.worker_exits(1, 0) == []
    assert story.last_words == "worker 1 (slot 1, generation 1, pid 101) has drained"
    assert story.status == "Serving, 2 of 2 workers ready"


def test_the_end_of_a_drained_worker_does_not_touch_the_successor_in_its_slot() -> None:
    story = replaced()
    slot = story.slot(1)
    story.worker_exits(1, -11)
    assert story.slot(1) == slot
    assert story.last_words == ("worker 1 (slot 1, generation 1, pid 101) did not finish draining (SIGSEGV)")


def test_a_worker_that_drains_too_long_is_killed() -> None:
    story = replaced()
    assert story.waits(29.9) == []
    assert story.waits_in_vain(0.1) == [Kill(1, 1)]
    assert story.last_words.endswith(": not drained within 30 s, killing it")
    assert story.worker_exits(1, -9) == []
    assert story.worker(3).state is WorkerState.READY


def test_a_worker_that_fails_while_it_drains_is_heard_but_not_hindered() -> None:
    story = replaced()
    before = story.fleet
    story.worker_fails(1, "shutdown failed")
    assert story.fleet == before
    assert story.last_words == "worker 1 (slot 1, generation 1, pid 101) failed: shutdown failed"


def test_saying_it_twice_changes_nothing() -> None:
    story = full()
    since = story.worker(1).ready_since
    story.waits(5)
    story.worker_is_ready(1)
    assert story.worker(1).ready_since == since


@pytest.mark.parametrize("state", [WorkerState.FAILED, WorkerState.DRAINING, WorkerState.KILLED])
def test_what_crosses_on_its_way_is_ignored_without_a_word(state: WorkerState) -> None:
    story = booting(2, boot_timeout=10.0)
    story.worker_is_ready(1)
    if state is WorkerState.FAILED:
        story.worker_fails(2)
    elif state is WorkerState.DRAINING:
        story.worker_is_ready(2)
        story.tell(events.ScaleChanged(-1))
    else:
        story.waits_in_vain(10)
    before = story.fleet
    assert before.workers[2].state is state
    for tell in (story.worker_is_ready, story.worker_wants_to_go):
        assert tell(2) == []
        assert story.fleet == before
        assert story.effects == []


def test_a_fork_that_fails_is_tried_again_later() -> None:
    story = full()
    story.worker_exits(2, 1)
    assert story.fork_fails(3, "EAGAIN") == []
    assert story.last_words == (
        "worker 3 (slot 2, generation 1) cannot be forked: EAGAIN; slot 2: next try in 1 s"
    )
    assert story.waits(1) == [fork(4, slot=2)]


def test_a_fork_nobody_answers_costs_the_zygote_its_life() -> None:
    story = full(boot_timeout=10.0)
    story.worker_exits(2, 1)
    assert story.waits(10) == [Kill(1, 3), KillZygote(1)]
    assert story.last_words == "worker 3 (slot 2, generation 1): its zygote does not answer, killing it"
    assert story.fork_fails(3, "its zygote did not answer") == []
    assert story.slot(2).trouble == "its zygote does not answer"
    assert 3 not in story.fleet.workers


def test_a_fork_answered_after_the_kill_is_killed_again() -> None:
    story = full(boot_timeout=10.0)
    story.worker_exits(2, 1)
    story.waits(10)
    assert story.worker_is_forked(3) == [Kill(1, 3)]
    assert story.worker(3).pid == 103
    story.worker_exits(3, -9)
    assert story.slot(2).occupant is None


def test_a_killed_worker_that_exists_cannot_turn_out_never_to_have_been_forked() -> None:
    story = full(boot_timeout=10.0)
    story.worker_exits(2, 1)
    story.worker_is_forked(3)
    story.waits(10)
    before = story.fleet
    story.fork_fails(3)
    assert story.fleet == before
    assert "contradicts" in story.last_words


def test_a_stray_is_killed_and_waited_for_even_when_stopping() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    story.zygote_exits(-9)
    assert story.worker_is_forked(2) == [Kill(1, 2)]
    assert story.last_words == "worker 2 (generation 1, pid 102) was born after it was given up, killing it"
    story.is_told_to_stop()
    assert story.zygote_exits(0) == []
    assert story.worker_exits(2, -9) == [DropGeneration(1), Exit(0)]


def test_a_stray_takes_nobody_s_slot() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    story.zygote_exits(-9)
    story.worker_is_forked(2)
    story.zygote_is_ready()
    story.waits(1)
    story.worker_comes_up(3)
    slot = story.slot(1)
    story.worker_exits(2, -9)
    assert story.slot(1) == slot
    assert slot.occupant == 3


@pytest.mark.parametrize(
    "event",
    [
        events.WorkerForked(generation=2, serial=1, pid=9),
        events.ForkFailed(generation=2, serial=1, reason=""),
        events.WorkerReady(2, 1),
        events.WorkerFailed(generation=2, serial=1, reason=""),
        events.WorkerExited(generation=2, serial=1, status=0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_right_serial_of_the_wrong_generation_is_not_that_worker(event: events.WorkerEvent) -> None:
    for story in (booting(), full()):
        before = story.fleet
        assert story.tell(event) == []
        assert story.fleet == before
        assert "contradicts" in story.last_words


@pytest.mark.parametrize(
    "event",
    [
        events.ForkFailed(generation=1, serial=7, reason=""),
        events.WorkerReady(1, 7),
        events.WorkerFailed(generation=1, serial=7, reason=""),
        events.WorkerExited(generation=1, serial=7, status=0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_news_of_an_unknown_worker_is_no_news(event: events.WorkerEvent) -> None:
    story = full()
    before = story.fleet
    assert story.tell(event) == []
    assert story.fleet == before


@pytest.mark.parametrize(
    "event",
    [
        events.WorkerReady(1, 1),
        events.WorkerFailed(generation=1, serial=1, reason=""),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_unborn_do_not_speak(event: events.WorkerEvent) -> None:
    story = opened()
    before = story.fleet
    assert story.tell(event) == []
    assert story.fleet == before
    assert "contradicts" in story.last_words


def test_a_worker_that_ends_before_its_birth_was_told_is_gone_all_the_same() -> None:
    story = full()
    story.worker_exits(2, 1)
    story.worker_exits(3, 1)
    assert 3 not in story.fleet.workers
    assert story.waits(1) == [fork(4, slot=2)]


@pytest.mark.parametrize("state", [WorkerState.BOOTING, WorkerState.READY, WorkerState.FAILED])
def test_who_lives_can_neither_be_born_again_nor_not_have_been(state: WorkerState) -> None:
    story = booting()
    if state is not WorkerState.BOOTING:
        story.worker_is_ready(1)
    if state is WorkerState.FAILED:
        story.worker_fails(1)
    before = story.fleet
    assert before.workers[1].state is state
    for tell in (lambda: story.worker_is_forked(1, pid=999), lambda: story.fork_fails(1)):
        assert tell() == []
        assert story.fleet == before
        assert "contradicts" in story.last_words
        story.log.clear()


def test_a_worker_born_after_a_stop_is_killed_and_waited_for() -> None:
    story = opened(1)
    assert story.is_told_to_stop() == [NotifyStopping()]
    assert story.worker_is_forked(1) == [Kill(1, 1), CloseGeneration(1)]
    assert story.worker_is_ready(1) == []
    assert story.zygote_exits(0) == []
    assert story.fleet.phase is Phase.STOPPING
    assert story.worker_exits(1, -9) == [DropGeneration(1), Exit(0)]
    assert story.last_words.endswith("pid 101) killed: told to go before it was born")


def test_a_worker_that_is_never_born_after_a_stop_is_not_waited_for() -> None:
    story = opened(1)
    story.is_told_to_stop()
    assert story.fork_fails(1) == [CloseGeneration(1)]
    assert story.zygote_exits(0) == [DropGeneration(1), Exit(0)]


def test_every_line_about_a_crash_is_an_error() -> None:
    story: Story = full()
    story.worker_exits(2, 1)
    assert [effect.level for effect in story.effects if isinstance(effect, Log)] == ["error"]


def test_a_worker_that_stalls_shows_its_stacks_and_is_killed() -> None:
    story = full(2)
    assert story.worker_stalls(2, busy=True) == [Dump(1, 2)]
    reason = "its loop has not turned for 60 s, it is busy"
    assert story.last_words == f"worker 2 (slot 2, generation 1, pid 102) has stalled: {reason}"
    assert story.status == "Serving, 1 of 2 workers ready, 1 stalled"
    assert story.waits(0.9) == []
    assert story.waits(0.1) == [Kill(1, 2)]
    assert story.worker_exits(2, -9) == [fork(3, slot=2)]
    assert story.last_words.endswith(f"pid 102) killed: {reason}; slot 2: next try at once")


def test_a_worker_that_goes_on_in_time_is_spared() -> None:
    story = full(1)
    story.worker_stalls(1)
    assert story.last_words.endswith("its loop has not turned for 60 s, it is blocked")
    assert story.worker_recovers(1) == []
    assert story.last_words == "worker 1 (slot 1, generation 1, pid 101) goes on"
    assert story.status == "Serving, 1 of 1 workers ready"
    assert story.waits(1000) == []
    assert story.worker(1).reason == ""


def test_a_worker_that_stalled_and_crashed_has_crashed() -> None:
    story = full(1)
    story.worker_stalls(1)
    assert story.worker_exits(1, -11) == [fork(2, slot=1)]
    assert "crashed (SIGSEGV)" in story.last_words


def test_a_worker_that_stalled_before_a_stop_may_drain_as_long_as_any_other() -> None:
    story = full(1)
    story.worker_stalls(1)
    assert Drain(1, 1) in story.is_told_to_stop()
    assert story.worker(1).reason == ""
    story.zygote_exits(0)
    assert story.worker_recovers(1) == []
    assert story.waits(29.9) == []
    assert story.waits_in_vain(0.1) == [Kill(1, 1)]


def test_a_worker_that_stalled_and_then_fails_may_finish_what_it_has() -> None:
    story = full(1)
    story.worker_stalls(1)
    assert story.worker_fails(1, "no database") == []
    assert story.waits(29) == []


def test_memory_that_ran_out_is_said() -> None:
    story = full(1)
    story.worker_exits(1, -9, oom=True)
    assert "crashed (SIGKILL by the kernel, for memory ran out)" in story.last_words
