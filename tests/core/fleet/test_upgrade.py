"""Stories of upgrades: a reload before which another program takes the fleet over."""

from __future__ import annotations

from sdserve.core.fleet import events
from sdserve.core.fleet.effects import (
    Drain,
    DropGeneration,
    Exit,
    NotifyReady,
    NotifyReloading,
    OpenGeneration,
    PrepareGeneration,
    ReplaceProgram,
    Reply,
)
from sdserve.core.fleet.machine import Fleet
from sdserve.core.fleet.model import Phase
from sdserve.core.fleet.options import FleetOptions
from tests.core.fleet.story import Story, fork, full, rolling


def replacing(count: int = 2) -> Story:
    """A full story in which the program is to be replaced, for token 7."""
    story = full(count)
    story.is_told_to_upgrade(7)
    story.generation_is_prepared(2, "sdserve 1 is replaced by 2", replace_program=True)
    return story


def test_another_program_opens_the_new_generation() -> None:
    story = full(1)
    assert story.is_told_to_upgrade(7) == [NotifyReloading(), PrepareGeneration(2, upgrade=True)]
    assert story.generation_is_prepared(2, "sdserve 1 is replaced by 2", replace_program=True) == [
        ReplaceProgram(2)
    ]
    assert story.status == "Serving, 1 of 1 workers ready, reloading to 2: sdserve itself is being replaced"
    assert story.waits(59) == []
    assert story.is_resumed() == [OpenGeneration(2)]
    story.zygote_is_ready(2)
    assert story.worker_comes_up(2)[:2] == [
        Drain(1, 1, heir=2),
        Reply(7, ok=True, text="generation 2 serves with 1 worker\nsdserve 1 is replaced by 2"),
    ]
    assert story.fleet.generations[2].opened_for == "upgrade"


def test_a_program_that_cannot_be_replaced_goes_on_as_before() -> None:
    story = replacing()
    assert story.program_is_not_replaced(2, "no such file") == [
        Reply(7, ok=False, text="no such file"),
        DropGeneration(2),
        NotifyReady(),
    ]
    assert story.fleet.reload is None
    assert set(story.fleet.generations) == {1}


def test_a_preparation_that_takes_too_long_fails_the_reload() -> None:
    story = full(1, boot_timeout=10.0)
    story.is_told_to_reload(7)
    assert story.waits(9.9) == []
    text = "its configuration was not read within 10 s"
    assert story.waits(0.1) == [Reply(7, ok=False, text=text), DropGeneration(2), NotifyReady()]
    assert story.generation_is_prepared(2) == [DropGeneration(2)], "it came too late"


def test_a_program_that_is_not_replaced_in_time_goes_on_as_before() -> None:
    story = replacing()
    text = "sdserve itself was not replaced within 60 s"
    assert story.waits(60) == [Reply(7, ok=False, text=text), DropGeneration(2), NotifyReady()]
    assert story.is_resumed() == [], "it came too late, and goes on with what there is"


def test_a_reload_in_place_of_an_upgrade_is_an_upgrade() -> None:
    story = full(1)
    story.is_told_to_upgrade(7)
    assert story.is_told_to_reload(8) == [PrepareGeneration(3, upgrade=True), DropGeneration(2)]


def test_an_upgrade_in_place_of_a_reload_is_an_upgrade_and_not_so_after_one_that_rolls() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    assert story.is_told_to_upgrade(8) == [PrepareGeneration(3, upgrade=True), DropGeneration(2)]
    story = rolling(2)
    assert story.is_told_to_reload(8) == [PrepareGeneration(3)]


def test_a_stop_before_the_program_was_replaced_drops_what_it_was_for() -> None:
    story = replacing()
    orders = story.is_told_to_stop()
    assert Reply(7, ok=False, text="stopping") in orders
    assert DropGeneration(2) in orders
    assert story.is_resumed() == [], "it was too late to keep it from happening"
    story.worker_exits(1)
    story.worker_exits(2)
    assert story.zygote_exits() == [DropGeneration(1), Exit(0)]


def test_a_fleet_that_was_not_replaced_for_anything_goes_on() -> None:
    story = full(2)
    before = story.fleet
    assert story.is_resumed() == []
    assert story.fleet == before


def test_a_supervisor_that_follows_one_that_died_goes_on_counting() -> None:
    story = Story(1)
    story.fleet = Fleet(options=FleetOptions(), last_generation=7, last_serial=20)
    assert story.tell(events.Started()) == [OpenGeneration(8)]
    assert story.zygote_is_ready(8) == [fork(21, slot=1, generation=8)]
    story.tell(events.WorkerForked(generation=8, serial=21, pid=5))
    story.tell(events.WorkerReady(8, 21))
    assert (story.fleet.phase, story.fleet.current) == (Phase.SERVING, 8)
