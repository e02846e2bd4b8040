"""Stories of what follows from the state alone."""

from __future__ import annotations

from sdserve.core.fleet.effects import (
    CloseGeneration,
    DropGeneration,
    Exit,
    ExtendTimeout,
    Kill,
    KillZygote,
    NotifyReady,
    NotifyStopping,
)
from sdserve.core.fleet.model import WorkerState
from tests.core.fleet.story import Story, booting, fork, full, opened


def test_readiness_is_announced_when_all_slots_are_ready() -> None:
    story = booting(3)
    assert story.worker_is_ready(2) == []
    assert story.status == "Booting, 1 of 3 workers ready"
    assert story.worker_is_ready(1) == []
    assert story.worker_is_ready(3) == [NotifyReady()]
    assert story.last_words == "serving with 3 workers"


def test_readiness_waits_until_all_are_ready_at_once() -> None:
    story = booting(2)
    story.worker_is_ready(1)
    assert story.worker_exits(1, 1) == [fork(3, slot=1)]
    assert story.worker_is_ready(2) == []
    assert story.worker_comes_up(3) == [NotifyReady()]


def test_readiness_is_announced_once() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    assert story.worker_comes_up(2) == []


def test_the_only_slot_fails_to_boot_and_the_service_gives_up() -> None:
    story = booting(1)
    story.worker_fails(1, "No module named 'shop'")
    assert story.worker_exits(1, 3) == [NotifyStopping(), CloseGeneration(1)]
    reason = "no worker became ready, the last one of slot 1 failed: No module named 'shop'"
    assert story.status == f"Failed: {reason}"
    assert story.log == [
        "worker 1 (slot 1, generation 1, pid 101) failed: No module named 'shop'",
        f"giving up: {reason}",
    ]
    assert story.zygote_exits(0) == [DropGeneration(1), Exit(3)]


def test_a_boot_that_takes_too_long_is_a_failure_too() -> None:
    story = booting(1)
    assert story.waits_in_vain(60) == [Kill(1, 1)]
    assert story.worker_exits(1, -9) == [NotifyStopping(), CloseGeneration(1)]


def test_a_fork_that_fails_is_a_failure_too() -> None:
    story = opened(1)
    assert story.fork_fails(1, "EAGAIN") == [NotifyStopping(), CloseGeneration(1)]
    assert story.status.endswith("slot 1 cannot be forked: EAGAIN")


def test_once_every_slot_has_failed_the_rest_is_not_waited_for() -> None:
    story = booting(2)
    assert story.worker_exits(1, 1) == []
    assert story.waits(1) == [fork(3, slot=1)]
    story.worker_is_forked(3)
    assert story.worker_exits(2, 1) == [NotifyStopping(), Kill(1, 3), CloseGeneration(1)]
    assert story.status.endswith("died while it booted (exit code 1), 1 worker killed")
    story.zygote_exits(0)
    assert story.worker_exits(3, -9) == [DropGeneration(1), Exit(3)]


def test_a_slot_is_tried_three_times_while_another_may_still_boot() -> None:
    story = booting(2)
    story.worker_exits(1, 1)
    story.waits(1)
    story.worker_breaks(3)
    story.waits(1)
    story.worker_breaks(4)
    assert story.waits(30) == []
    assert story.status == (
        "Booting, 0 of 2 workers ready, slot 1 died while it booted (exit code 1), "
        "not tried again after 3 times"
    )
    assert story.worker_is_ready(2) == [fork(5, slot=1)]
    assert story.worker_comes_up(5) == [NotifyReady()]


def test_once_a_worker_was_ready_the_service_does_not_give_up() -> None:
    story = booting(2)
    story.worker_is_ready(1)
    serials = iter(range(3, 50))
    story.worker_exits(2, 1)
    for _ in range(20):
        assert Exit(3) not in story.sleeps_until_the_deadline()
        story.worker_breaks(next(serials))
    assert story.slot(2).delay == 30
    story.worker_exits(1, 1)
    assert NotifyStopping() not in story.worker_breaks(next(serials))


def test_asking_to_stop_while_it_gives_up_makes_it_quick_and_keeps_the_exit_code() -> None:
    story = booting(2)
    story.worker_exits(1, 1)
    story.waits(1)
    story.worker_is_forked(3)
    story.worker_exits(2, 1)
    assert story.is_told_to_stop() == [KillZygote(1)]
    assert story.worker_exits(3, -9) == []
    assert story.zygote_exits(-9) == [DropGeneration(1), Exit(3)]


def patience(story: Story) -> list[float]:
    """For how long the service manager was asked to wait by the last event."""
    return [effect.seconds for effect in story.effects if isinstance(effect, ExtendTimeout)]


def test_the_service_manager_is_asked_to_wait_while_the_boot_makes_progress() -> None:
    story = Story(2, boot_timeout=20.0)
    story.starts()
    assert patience(story) == [25]
    story.zygote_is_ready()
    assert patience(story) == [25]
    story.worker_is_forked(1)
    assert patience(story) == []
    story.worker_is_ready(1)
    assert patience(story) == [25]
    story.worker_exits(1, 1)
    story.worker_comes_up(3)
    assert patience(story) == [], "no farther than before"
    story.worker_comes_up(2)
    assert patience(story) == [], "it waits no more"
    story.worker_exits(2, 1)
    assert patience(story) == []


def test_it_is_asked_to_wait_while_a_reload_makes_progress() -> None:
    story = full(3, boot_timeout=10.0)
    story.is_told_to_reload()
    assert patience(story) == [15]
    story.generation_is_prepared(2, boot_timeout=20.0)
    assert patience(story) == []
    story.zygote_is_ready(2)
    assert patience(story) == [25]
    story.worker_comes_up(4)
    assert patience(story) == [25]
    story.worker_comes_up(5)
    assert patience(story) == [25]
    story.worker_exits(1, 0)
    assert patience(story) == []
    story.worker_comes_up(6)
    assert patience(story) == []
    story.is_told_to_reload()
    assert patience(story) == [25]


def test_it_is_asked_to_wait_until_everybody_has_to_be_gone() -> None:
    story = full(3)
    story.is_told_to_stop()
    assert patience(story) == [35]
    story.now += 10
    story.worker_exits(1, 0)
    assert patience(story) == [25]
    story.zygote_exits(0)
    assert patience(story) == [], "there are still workers of its generation"
    story.now += 25
    story.worker_exits(2, 0)
    assert patience(story) == [5]
    story.worker_exits(3, 0)
    assert patience(story) == []


def test_a_stop_waits_for_the_most_patient_generation() -> None:
    story = full(1)
    story.is_told_to_reload()
    story.generation_is_prepared(2, drain_timeout=55.0)
    story.is_told_to_stop()
    assert patience(story) == [65]


def test_that_a_fork_has_failed_of_somebody_who_is_there_is_not_believed() -> None:
    story = full(2)
    story.is_scaled_to(1)
    before = story.worker(2)
    assert before.state is WorkerState.DRAINING
    story.fork_fails(2)
    assert "contradicts" in story.last_words
    assert story.worker(2) == before
