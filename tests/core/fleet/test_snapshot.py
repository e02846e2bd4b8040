"""A fleet as JSON and back, also by other versions. That nothing is lost is checked in all histories, too."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sdserve.core.fleet import snapshot
from sdserve.core.fleet.model import Fleet, Phase, WorkerState
from sdserve.core.fleet.options import FleetOptions
from sdserve.errors import WireError
from tests.core.fleet.story import full, rolling


def written(fleet: Fleet) -> Any:
    return json.loads(json.dumps(snapshot.encode(fleet)))


def test_a_fleet_in_the_middle_of_a_reload_survives() -> None:
    story = rolling(3)
    story.is_told_to_reload(8)
    story.worker_wants_to_go(2)
    story.is_scaled_to(2, token=9)
    assert snapshot.decode(written(story.fleet)) == story.fleet


def test_what_a_newer_version_has_added_is_dropped() -> None:
    fleet = full().fleet
    data = written(fleet)
    data["mood"] = "good"
    data["workers"]["1"]["shoes"] = [41, 42]
    data["options"]["haste"] = {"a": 1}
    assert snapshot.decode(data) == fleet


def test_what_an_older_version_did_not_have_takes_its_default() -> None:
    assert snapshot.decode({"options": {}}) == Fleet(options=FleetOptions())
    data = written(full().fleet)
    del data["workers"]["1"]["reason"], data["status"]
    data["options"]["boot_timeout"] = 60
    fleet = snapshot.decode(data)
    assert fleet.workers[1].reason == ""
    assert (fleet.status, fleet.phase, fleet.options.boot_timeout) == ("", Phase.SERVING, 60.0)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ((), [], "fleet is [], not an object"),
        (("options",), None, "fleet.options is None, not an object"),
        (("phase",), "DREAMING", "fleet.phase is 'DREAMING', which this version of sdserve does not know"),
        (("workers", "1", "state"), 3, "fleet.workers[1].state is 3, which"),
        (("workers", "1", "pid"), "7", "fleet.workers[1].pid is '7', not int"),
        (("workers", "1", "pid"), True, "fleet.workers[1].pid is True, not int"),
        (("workers", "x"), {}, "fleet.workers has the key 'x', which is no number"),
        (("workers",), [], "fleet.workers is [], not an object"),
        (("workers", "1"), {"generation": 1}, "fleet.workers[1].serial is missing"),
        (("scalings",), 3, "fleet.scalings is 3, not a list"),
        (("progress",), [1, "2"], "fleet.progress[1] is '2', not int"),
        (("current",), 9, "the fleet names what it does not have: [9]"),
        (("slots", "1", "successor"), 77, "the fleet names what it does not have: [77]"),
        (("workers", "1", "generation"), 5, "the fleet names what it does not have: [5]"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    path: tuple[str, ...], value: Any, complaint: str
) -> None:
    data = written(full().fleet)
    if path:
        place = data
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    else:
        data = value
    with pytest.raises(WireError, match=re.escape(complaint)):
        snapshot.decode(data)


def test_a_killed_worker_may_outlive_its_generation() -> None:
    data = written(full().fleet)
    data["workers"]["1"]["state"] = WorkerState.KILLED.name
    data["workers"]["1"]["generation"] = 5
    assert snapshot.decode(data).workers[1].generation == 5


@pytest.mark.parametrize("phase", Phase)
def test_who_has_stopped_still_names_the_generations_that_it_had(phase: Phase) -> None:
    data = written(full().fleet)
    data |= {"phase": phase.name, "generations": {}, "workers": {}, "slots": {}}
    if phase in (Phase.STOPPING, Phase.ENDED):
        assert snapshot.decode(data).current == 1
    else:
        with pytest.raises(WireError, match=re.escape("the fleet names what it does not have: [1]")):
            snapshot.decode(data)
