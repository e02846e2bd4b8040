"""Stories of what people ask for, and what they are told."""

from __future__ import annotations

import pytest

from sdserve.core.fleet import events
from sdserve.core.fleet.effects import (
    CloseGeneration,
    Drain,
    DropGeneration,
    Exit,
    Kill,
    NotifyReady,
    NotifyReloading,
    NotifyStopping,
    OpenGeneration,
    PrepareGeneration,
    Reply,
)
from sdserve.core.fleet.model import Reload
from tests.core.fleet.story import Story, booting, fork, full, rolling, trying


def test_a_reload_begins_with_the_configuration() -> None:
    story = full()
    assert story.is_told_to_reload(7) == [NotifyReloading(), PrepareGeneration(2)]
    assert story.last_words == "reloading to generation 2"
    assert story.fleet.reload == Reload(generation=2, since=story.now, tokens=(7,))
    assert story.fleet.generations[2].opened_for == "reload"


def test_a_signal_waits_for_no_reply() -> None:
    story = full()
    assert story.is_told_to_reload(0) == [NotifyReloading(), PrepareGeneration(2)]
    assert story.generation_is_refused(2) == [DropGeneration(2), NotifyReady()]


def test_a_reload_on_trial_is_given_up_for_a_newer_one_and_who_waited_waits_for_that() -> None:
    story = trying()
    assert story.is_told_to_reload(8) == [PrepareGeneration(3), Kill(2, 3), CloseGeneration(2)]
    assert "reloading to generation 3, giving up generation 2" in story.log
    assert story.fleet.reload == Reload(generation=3, since=story.now, tokens=(7, 8))
    assert story.worker_exits(3, -9) == []
    assert story.last_words == (
        "worker 3 (slot 1, generation 2, pid 103) killed: not needed any more while it was booting"
    )
    assert story.zygote_exits(0, generation=2) == [DropGeneration(2, heir=1)]
    reason = "shop.ini:3: no such option"
    assert story.generation_is_refused(3) == [
        Reply(7, ok=False, text=reason),
        Reply(8, ok=False, text=reason),
        DropGeneration(3),
        NotifyReady(),
    ]


def test_a_generation_given_up_while_it_is_prepared_is_dropped_and_its_answer_too() -> None:
    story = full()
    story.is_told_to_reload(7)
    assert story.is_told_to_reload(8) == [PrepareGeneration(3), DropGeneration(2)]
    assert story.generation_is_prepared(2) == [DropGeneration(2)]
    assert story.generation_is_refused(2) == []
    assert story.generation_is_prepared(3) == [OpenGeneration(3)]


def test_a_reload_that_rolls_pauses_for_a_newer_one() -> None:
    story = rolling(3)
    assert story.worker_is_forked(5) == []
    assert story.is_told_to_reload(8) == [PrepareGeneration(3)]
    assert story.status == (
        "Serving, 3 of 3 workers ready, generation 2, reloading to 3: being prepared, 1 draining"
    )
    assert story.worker_is_ready(5) == [Drain(1, 2, heir=2)], (
        "whoever boots may go on, but nobody else begins"
    )


def test_a_paused_reload_goes_on_when_the_newer_one_fails() -> None:
    story = rolling(3)
    story.is_told_to_reload(8)
    story.worker_comes_up(5)
    refusal = Reply(8, ok=False, text="shop.ini:3: no such option")
    assert story.generation_is_refused(3) == [refusal, fork(6, slot=3, generation=2), DropGeneration(3)]
    assert story.fleet.paused is None
    assert story.worker_comes_up(6) == [
        Drain(1, 3, heir=2),
        Reply(7, ok=True, text="generation 2 serves with 3 workers"),
        CloseGeneration(1),
        NotifyReady(),
    ]


def test_a_paused_reload_that_fails_meanwhile_is_undone_when_the_newer_one_fails() -> None:
    story = rolling(3)
    story.is_told_to_reload(8)
    assert story.worker_exits(4, 1) == [fork(6, slot=1, generation=2)]
    answer = "the new worker of slot 1 crashed (exit code 1); going back to generation 1"
    assert story.generation_is_refused(3)[:2] == [
        Reply(8, ok=False, text="shop.ini:3: no such option"),
        Reply(7, ok=False, text=answer),
    ]
    assert story.fleet.current == 1


def test_a_newer_reload_replaces_who_is_of_the_paused_one_and_answers_for_both() -> None:
    story = rolling(2)
    story.is_told_to_reload(8)
    story.generation_is_prepared(3)
    assert story.zygote_is_ready(3) == [fork(5, slot=1, generation=3)]
    assert story.worker_is_forked(4) == []
    assert story.worker_comes_up(5) == [
        Kill(2, 4),
        Drain(2, 3, heir=3),
        Drain(1, 1, heir=3),  # it was told of generation 2
        fork(6, slot=2, generation=3),
        CloseGeneration(2),
    ]
    assert story.fleet.previous == 1, "the last one that was rolled out"
    text = "generation 3 serves with 2 workers"
    assert story.worker_comes_up(6) == [
        Drain(1, 2, heir=3),
        Reply(7, ok=True, text=text),
        Reply(8, ok=True, text=text),
        CloseGeneration(1),
        NotifyReady(),
    ]


def test_the_paused_generation_is_what_to_go_back_to_if_the_one_before_has_no_zygote() -> None:
    story = rolling(2)
    story.is_told_to_reload(8)
    story.generation_is_prepared(3)
    story.zygote_is_ready(3)
    assert story.zygote_exits(-9, generation=1) == []
    story.worker_comes_up(5)
    assert story.fleet.previous == 2


def test_a_reload_asked_for_while_the_first_generation_boots_is_tried_beside_it() -> None:
    story = booting(2)
    assert story.is_told_to_reload(7) == [PrepareGeneration(2)], "it is not up yet, so it does not reload"
    story.generation_is_prepared(2)
    assert story.zygote_is_ready(2) == [fork(3, slot=1, generation=2)]
    assert story.worker_comes_up(3) == [
        Kill(1, 1),
        Kill(1, 2),
        fork(4, slot=2, generation=2),
        CloseGeneration(1),
    ]
    assert story.fleet.previous == 0, "which has never served"
    assert story.worker_comes_up(4) == [
        Reply(7, ok=True, text="generation 2 serves with 2 workers"),
        NotifyReady(),
    ]


def test_the_first_generation_is_not_given_up_while_another_is_tried() -> None:
    story = booting(1)
    story.is_told_to_reload(7)
    assert story.worker_exits(1, 1) == []
    assert story.generation_is_refused(2) == [
        Reply(7, ok=False, text="shop.ini:3: no such option"),
        NotifyStopping(),
        CloseGeneration(1),
        DropGeneration(2),
    ]


def test_a_fleet_that_is_up_before_its_reload_has_ended_reloads_from_then_on() -> None:
    story = booting(1)
    story.is_told_to_reload(7)
    assert story.worker_is_ready(1) == [NotifyReady(), NotifyReloading()]
    assert story.generation_is_refused(2)[-1] == NotifyReady()


def test_a_stop_ends_every_reload_and_tells_everybody() -> None:
    story = rolling(2)
    story.is_told_to_reload(8)
    story.is_scaled_to(3, token=9)
    assert story.is_told_to_stop() == [
        NotifyStopping(),
        Reply(8, ok=False, text="stopping"),
        Reply(7, ok=False, text="stopping"),
        Reply(9, ok=False, text="stopping"),
        Drain(1, 2),
        Drain(2, 3),
        Drain(1, 1),  # it was told of heirs
        CloseGeneration(1),
        DropGeneration(3),
    ]
    fleet = story.fleet
    assert (fleet.candidate, fleet.previous, fleet.reload, fleet.paused, fleet.scalings) == (
        0,
        0,
        None,
        None,
        (),
    )
    assert story.worker_is_forked(4) == [Kill(2, 4)]
    assert story.worker_is_forked(5) == [Kill(2, 5), CloseGeneration(2)]


@pytest.mark.parametrize("event", [events.ReloadAsked(5), events.ScaleAsked(5, 3)])
def test_nobody_can_ask_for_anything_before_the_start_or_while_it_stops(event: events.Event) -> None:
    story = Story(1)
    assert story.tell(event) == [Reply(5, ok=False, text="not started yet")]
    story = full(1)
    story.is_told_to_stop()
    before = story.fleet
    assert story.tell(event) == [Reply(5, ok=False, text="stopping")]
    assert story.fleet == before
    assert story.tell(events.ScaleChanged(1)) == []
    assert story.is_told_to_reload(0) == []
    assert story.fleet == before
    story.zygote_exits(0)
    assert story.worker_exits(1) == [DropGeneration(1), Exit(0)]
    assert story.tell(event) == []


def test_more_workers_are_forked_and_the_answer_waits_until_they_serve() -> None:
    story = full(2)
    assert story.is_scaled_to(4, token=5) == [fork(3, slot=3), fork(4, slot=4)]
    assert story.last_words == "scaling to 4 workers"
    assert story.status == "Serving, 2 of 4 workers ready"
    assert story.worker_comes_up(4) == []
    assert story.worker_comes_up(3) == [Reply(5, ok=True, text="4 of 4 workers ready")]


def test_with_fewer_workers_the_highest_slots_go() -> None:
    story = full(3)
    story.worker_exits(3, 1)
    story.worker_is_forked(4)
    assert story.is_scaled_to(1, token=5) == [
        Drain(1, 2, heir=1),
        Kill(1, 4),
        Reply(5, ok=True, text="1 of 1 workers ready"),
    ]
    assert sorted(story.fleet.slots) == [1]
    assert story.worker_exits(2, 0) == []
    assert story.worker_exits(4, -9) == []
    assert story.log[-2:] == [
        "worker 2 (slot 2, generation 1, pid 102) has drained",
        "worker 4 (slot 3, generation 1, pid 104) killed: not needed any more while it was booting",
    ]


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_there_are_numbers_that_nobody_gets(count: int) -> None:
    story = full(2)
    before = story.fleet
    text = f"{count} is not a number of workers: 1 to 1024"
    assert story.is_scaled_to(count, token=5) == [Reply(5, ok=False, text=text)]
    assert story.is_scaled_to(count) == []
    assert story.fleet == before


def test_the_most_workers_there_can_be() -> None:
    story = full(1)
    assert len(story.is_scaled_to(1024)) == 8
    story.tell(events.ScaleChanged(1))
    assert len(story.fleet.slots) == 1024


def test_one_more_or_less_but_never_none() -> None:
    story = full(2)
    assert story.tell(events.ScaleChanged(1)) == [fork(3, slot=3)]
    assert story.tell(events.ScaleChanged(-2)) == [Drain(1, 2, heir=1)]
    assert story.tell(events.ScaleChanged(-1)) == []
    assert sorted(story.fleet.slots) == [1]


def test_a_number_holds_until_the_next_reload() -> None:
    story = full(1)
    story.is_scaled_to(2)
    story.worker_comes_up(2)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    story.zygote_is_ready(2)
    assert story.worker_comes_up(3) == [
        Drain(1, 1, heir=2),
        Drain(1, 2, heir=2),
        Reply(7, ok=True, text="generation 2 serves with 1 worker"),
        CloseGeneration(1),
        NotifyReady(),
    ]


def test_a_number_asked_for_during_a_trial_is_that_of_the_current_generation() -> None:
    story = trying(1)
    assert story.is_scaled_to(2) == [fork(3, slot=2)]
    story.worker_comes_up(3)
    story.worker_fails(2)
    assert story.fleet.current == 1
    assert len(story.fleet.slots) == 2


def test_a_reload_may_bring_another_number() -> None:
    story = full(1)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2, count=3)
    story.zygote_is_ready(2)
    assert story.worker_comes_up(2) == [
        Drain(1, 1, heir=2),
        fork(3, slot=2, generation=2),
        fork(4, slot=3, generation=2),
    ]


def test_who_asked_for_a_number_hears_of_another_one_set_since() -> None:
    story = full(1)
    story.is_scaled_to(3, token=5)
    assert story.is_scaled_to(2, token=6)[-1] == Reply(
        5, ok=False, text="another number of workers has been set since: 2"
    )
    assert story.worker_is_forked(2) == []
    assert story.worker_is_ready(2) == [Reply(6, ok=True, text="2 of 2 workers ready")]


def test_who_asked_for_a_number_hears_what_is_in_the_way() -> None:
    story = full(1)
    story.is_scaled_to(2, token=5)
    text = "1 of 2 workers ready, slot 2 died while it booted (exit code 1); next try in 1 s"
    assert story.worker_breaks(2) == [Reply(5, ok=False, text=text)]


def test_a_zygote_that_is_back_is_not_in_the_way() -> None:
    story = full(1)
    story.zygote_exits(1)
    story.zygote_exits(1)
    story.waits(1)
    story.zygote_is_ready()
    assert story.is_scaled_to(2, token=5) == [fork(2, slot=2)]
    assert story.worker_comes_up(2) == [Reply(5, ok=True, text="2 of 2 workers ready")]


def test_who_asked_for_a_number_hears_of_a_zygote_that_does_not_come_back() -> None:
    story = full(1)
    story.zygote_exits(1)
    assert story.is_scaled_to(2, token=5) == []
    assert story.zygote_exits(1) == [
        Reply(5, ok=False, text="1 of 2 workers ready, zygote died (exit code 1)")
    ]
