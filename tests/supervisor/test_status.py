from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from time import monotonic

import pytest

from sdserve.core import wire
from sdserve.core.fleet import events, queries
from sdserve.core.fleet.machine import Fleet, step
from sdserve.core.wire.control import DESCRIPTIONS, INTERFACE
from sdserve.host import scoreboard
from sdserve.supervisor import observe, status
from sdserve.supervisor.house import Prepared
from sdserve.supervisor.perform import perform

TYPES = {
    name: dict(re.findall(r"^  (\w+): (.*?),?$", fields, re.MULTILINE))
    for name, fields in re.findall(
        r"^type (\w+) \((.*?)^\)", DESCRIPTIONS[INTERFACE], re.MULTILINE | re.DOTALL
    )
}
SIMPLE = {"string": str, "int": int, "float": float, "bool": bool}


def assert_is(value, kind):
    """`value` is of the Varlink type `kind`."""
    if kind.startswith("?"):
        if value is not None:
            assert_is(value, kind[1:])
    elif kind.startswith("[]"):
        for item in value:
            assert_is(item, kind[2:])
    elif kind.startswith("("):
        assert value in kind[1:-1].split(", ")
    elif kind in SIMPLE:
        assert type(value) is SIMPLE[kind]
    else:
        assert list(value) == list(TYPES[kind])
        for name, field in TYPES[kind].items():
            assert_is(value[name], field)


class Loop:
    """The supervisor's loop, driven by a test."""

    def __init__(self, house):
        self.house = house
        self.house.fleet = Fleet(options=house.configuration.fleet)

    def tell(self, *pending):
        pending = list(pending)
        while pending:
            self.house.fleet, effects = step(self.house.fleet, pending.pop(0), monotonic())
            for effect in effects:
                pending += perform(self.house, effect)

    def run_until(self, condition):
        deadline = monotonic() + 20
        while not condition(self.house.fleet):
            assert monotonic() < deadline, "it does not get there"
            self.tell(
                *observe.wait(self.house, min(deadline, queries.next_deadline(self.house.fleet) or deadline))
            )

    def status(self):
        described = json.loads(json.dumps(status.describe(self.house)))
        assert_is(described, "State")
        return described


@pytest.fixture
def loop(start):
    loop = Loop(start().house)
    assert loop.status()["phase"] == "new"
    loop.tell(events.Started())
    return loop


@pytest.fixture
def serving(loop):
    loop.run_until(queries.all_ready)
    return loop


def test_a_beginning_has_a_status(loop):
    state = loop.status()
    assert (state["phase"], state["pid"], state["slots"]) == ("booting", os.getpid(), 1)
    assert state["workers"] == []
    assert state["generations"][0]["zygote"] == "opening"


def test_a_serving_instance_tells_what_it_has(serving, tmp_path):
    house = serving.house
    words = house.row_of(house.workers[1]).words
    words[scoreboard.REQUESTS], words[scoreboard.IN_FLIGHT], words[scoreboard.CONNECTIONS] = 7, 2, 3
    house.workers[1].changed = ("/srv/a.py",)
    state = serving.status()
    assert (state["name"], state["phase"], state["status"]) == (
        "test",
        "serving",
        "Serving, 1 of 1 workers ready",
    )
    [generation] = state["generations"]
    assert (generation["number"], generation["role"], generation["opened_for"]) == (1, "current", "start")
    assert generation["directory"] == os.path.realpath(tmp_path)
    assert generation["zygote_pid"] == house.zygotes[1].pid
    [worker] = state["workers"]
    assert (worker["slot"], worker["state"], worker["pid"]) == (1, "ready", house.workers[1].pid)
    assert (worker["requests"], worker["in_flight"], worker["connections"]) == (7, 2, 3)
    assert worker["changed"] == ["/srv/a.py"]
    [listener] = state["listeners"]
    assert listener["name"] == "web"
    assert listener["address"].startswith("127.0.0.1:")
    assert state["hints"] == ["not all workers run the same code, reload to have them do so: /srv/a.py"]


def test_code_that_has_changed_on_the_disk_is_hinted_at_until_it_is_reloaded(serving):
    serving.house.workers[1].outdated = {"/srv/b.py", "/srv/a.py"}
    hint = "files of the running code have changed, reload to run the new code: /srv/a.py, /srv/b.py"
    assert serving.status()["hints"] == [hint]
    serving.tell(events.ReloadAsked(0))
    assert serving.status()["hints"] == []
    serving.run_until(lambda fleet: fleet.last_reload)
    assert serving.status()["hints"] == []


def test_a_reload_is_told_while_it_goes_on_and_afterwards(serving):
    serving.tell(events.ReloadAsked(0))
    state = serving.status()
    assert state["reloading_to"] == 2
    assert [generation["role"] for generation in state["generations"]] == ["current", "candidate"]
    assert state["hints"] == []
    serving.run_until(lambda fleet: fleet.last_reload)
    state = serving.status()
    assert state["reloading_to"] is None
    assert state["last_reload"]["ok"]
    assert state["last_reload"]["generation"] == 2


def test_what_a_reload_would_change_is_hinted_at(serving, tmp_path):
    house = serving.house
    moved = tmp_path / "moved"
    moved.mkdir()
    before = house.configuration
    listen = (replace(before.listen[0], backlog=7),)
    after = replace(before, app=replace(before.app, directory=str(moved)), listen=listen)
    program = wire.Prepared(identity="another", description="sdserve 2")
    assert list(status.hints(house, Prepared.of(after), program)) == [
        "sdserve itself has changed (sdserve 2 is there now), upgrade or reload to use it",
        f"directory is {moved} now, reload to use it",
        "the configuration has changed, reload to use it",
        "a restart is needed for what has changed of listen:web.backlog",
    ]


def test_nothing_is_hinted_at_where_nothing_has_changed(serving):
    house = serving.house
    same = wire.Prepared(identity=house.program.identity)
    assert list(status.hints(house, Prepared.of(house.configuration), same)) == []
    house.prepared.clear()
    assert list(status.hints(house, Prepared.of(house.configuration), wire.Prepared())) == []
