from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from sdserve.core.fleet.model import Fleet, Phase, Slot, WorkerState
from sdserve.core.fleet.model import Worker as FleetWorker
from sdserve.core.fleet.options import FleetOptions
from sdserve.host import channel, scoreboard, usage
from sdserve.supervisor import observe
from sdserve.supervisor.house import Worker
from sdserve.supervisor.watchdog import FRESH, LOOKS, Watchdog

INTERVAL = 30.0
PAUSE = INTERVAL / LOOKS
SERVING = Fleet(
    options=FleetOptions(),
    phase=Phase.SERVING,
    slots={1: Slot(number=1, occupant=1), 2: Slot(number=2, occupant=2)},
)


class Watched:
    """A house with workers that exist only in the scoreboard, and the watchdog that looks at it."""

    def __init__(self, house, manager):
        self.house = house
        self.manager = manager
        self.house.fleet = SERVING
        self.watchdog = Watchdog()
        self.now = 10_000.0
        self.ends = []

    def add(self, serial, state=scoreboard.READY):
        ours, theirs = channel.pair()
        self.ends.append(theirs)
        row = self.house.take_row()
        worker = Worker(generation=1, serial=serial, slot=serial, row=row, channel=ours, pid=os.getpid())
        self.house.admit_worker(worker)
        self.house.row_of(worker).words[scoreboard.STATE] = state

    def beat(self, serial, ago=0.0):
        words = self.house.row_of(self.house.workers[serial]).words
        words[scoreboard.HEARTBEAT_NS] = int((self.now - ago) * 1e9)

    def look(self, after=PAUSE):
        """Whether the service manager was told that all is well."""
        self.now += after
        self.manager.messages.clear()
        assert list(self.watchdog.look(self.house, self.now)) == []
        assert self.manager.status == ""
        assert self.manager.messages in ([], [("WATCHDOG", "1")])
        return bool(self.manager.messages)


@pytest.fixture
def watched(start, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", str(int(INTERVAL * 1e6)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setattr(usage, "cpu_seconds", lambda pid: 7.0)
    watched = Watched(start().house, manager)
    watched.add(1)
    watched.add(2)
    yield watched
    for end in watched.ends:
        end.close()
    for worker in list(watched.house.workers.values()):
        worker.pid = None
        watched.house.forget_worker(worker)


def test_where_nobody_asks_nobody_looks(start, monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert Watchdog().next_look(start().house) is None


def test_it_looks_at_once_and_then_three_times_in_each_interval(watched):
    """At once also after another program has taken over: the last one may have looked long ago."""
    assert watched.watchdog.next_look(watched.house) <= PAUSE
    watched.look(0.0)
    assert watched.watchdog.next_look(watched.house) == pytest.approx(watched.now + PAUSE)
    assert 3 * PAUSE <= INTERVAL


def test_one_that_goes_on_is_enough(watched):
    assert watched.look()
    for _ in range(5):
        watched.beat(2)
        assert watched.look()


def test_when_nobody_goes_on_nothing_is_told(watched):
    assert watched.look(), "both are seen for the first time"
    for _ in range(3):
        assert not watched.look()
    watched.beat(1)
    assert watched.look()
    assert not watched.look()


def test_looks_may_come_more_often_than_heartbeats(watched):
    watched.beat(1)
    pause = FRESH / 8
    assert all(watched.look(pause) for _ in range(7))
    watched.look(2 * pause)
    assert not watched.look(pause)


@pytest.mark.parametrize(("used", "is_well"), [(0.0, False), (0.05, False), (0.2, True)])
def test_who_computes_goes_on(watched, monkeypatch, used, is_well):
    watched.look()
    monkeypatch.setattr(usage, "cpu_seconds", lambda pid: 7.0 + used * PAUSE)
    assert watched.look() is is_well
    assert not watched.look(), "and no more since"


@pytest.mark.parametrize("state", [scoreboard.BOOTING, scoreboard.DRAINING])
def test_who_serves_nobody_does_not_count(watched, state):
    watched.look()
    for serial in (1, 2):
        watched.house.row_of(watched.house.workers[serial]).words[scoreboard.STATE] = state
        watched.beat(serial)
    assert not watched.look()


def test_who_is_not_born_yet_does_not_count(watched):
    watched.look()
    for worker in watched.house.workers.values():
        worker.pid = None
    assert not watched.look()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SERVING])
def test_who_boots_or_ends_has_deadlines_of_its_own(watched, phase):
    watched.look()
    watched.house.fleet = replace(SERVING, phase=phase)
    assert watched.look()


@pytest.mark.parametrize(
    ("state", "is_well"),
    [(state, state in (WorkerState.FORKING, WorkerState.BOOTING)) for state in WorkerState],
)
def test_a_worker_that_boots_is_progress(watched, state, is_well):
    watched.look()
    worker = FleetWorker(generation=1, serial=2, slot=2, state=state)
    watched.house.fleet = replace(SERVING, workers={2: worker})
    assert watched.look() is is_well


def test_a_slot_that_waits_for_its_worker_is_progress(watched):
    """Its next worker is started at a known moment, and again if need be; a restart would do no more."""
    watched.look()
    watched.house.fleet = replace(
        SERVING, slots={**SERVING.slots, 2: Slot(number=2, failures=5, retry_at=1e9)}
    )
    assert watched.look()


def test_the_loop_looks(watched):
    watched.house.lookouts.append(watched.watchdog)
    list(observe.wait(watched.house, time.monotonic() + 20))
    assert watched.manager.status == ""
    assert ("WATCHDOG", "1") in watched.manager.messages
