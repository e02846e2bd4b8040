from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from sdserve.core.fleet import events
from sdserve.host import channel, scoreboard, usage
from sdserve.supervisor import observe
from sdserve.supervisor.house import Prepared, Worker
from sdserve.supervisor.watch import LAST_LOOK, LOOKS, SECOND_LOOK

LIMIT = 60.0
LATE = LIMIT + 0.1
NANO = 1_000_000_000


class Watched:
    """A house with workers that exist only in the scoreboard."""

    def __init__(self, house):
        self.house = house
        self.now = time.monotonic()
        self.ends = []
        configuration = house.configuration
        fleet = replace(configuration.fleet, stall_timeout=LIMIT)
        house.prepared[1] = Prepared.of(replace(configuration, fleet=fleet))
        house.prepared[2] = Prepared.of(replace(configuration, fleet=replace(fleet, stall_timeout=0.0)))

    def add(self, serial, *, generation=1, pid, state=scoreboard.READY, beat=0.0):
        ours, theirs = channel.pair()
        self.ends.append(theirs)
        row = self.house.take_row()
        worker = Worker(generation=generation, serial=serial, slot=serial, row=row, channel=ours, pid=pid)
        self.house.admit_worker(worker)
        self.house.row_of(worker).words[scoreboard.STATE] = state
        self.beat(serial, beat)

    def beat(self, serial, ago=0.0):
        words = self.house.row_of(self.house.workers[serial]).words
        words[scoreboard.HEARTBEAT_NS] = max(0, int((self.now - ago) * NANO))  # a machine may be younger

    def look(self, after=0.0):
        self.now += after
        return list(self.house.watch.look(self.house, self.now))

    def next_look(self):
        moment = self.house.watch.next_look(self.house)
        return None if moment is None else moment - self.now


@pytest.fixture
def watched(start):
    watched = Watched(start().house)
    yield watched
    for end in watched.ends:
        end.close()
    for worker in list(watched.house.workers.values()):
        watched.house.forget_worker(worker)


def test_nobody_is_watched_where_nobody_serves(watched):
    assert watched.next_look() is None
    watched.add(1, pid=os.getpid(), state=scoreboard.BOOTING, beat=999)
    watched.add(2, pid=os.getpid(), state=scoreboard.DRAINING, beat=999)
    watched.add(3, pid=os.getpid(), generation=2, beat=999)
    watched.add(4, pid=os.getpid(), generation=9, beat=999)
    watched.add(5, pid=None, beat=999)
    watched.add(6, pid=os.getpid(), beat=watched.now)  # it has no heartbeat yet
    for _ in range(3):
        assert watched.look(after=SECOND_LOOK) == []


def test_who_goes_on_is_looked_at_rarely(watched):
    watched.add(1, pid=os.getpid())
    assert watched.look(after=LIMIT - 1) == []
    assert watched.next_look() == pytest.approx(LIMIT / LOOKS)


def test_a_heartbeat_that_is_too_old_twice_is_told_once(watched):
    watched.add(1, pid=os.getpid())
    watched.add(2, pid=os.getpid())
    assert watched.look(after=LATE) == []
    assert watched.next_look() == pytest.approx(SECOND_LOOK)
    watched.beat(2)
    [stalled] = watched.look(after=SECOND_LOOK)
    assert (stalled.generation, stalled.serial) == (1, 1)
    assert watched.next_look() == pytest.approx(LAST_LOOK)
    assert stalled.seconds == pytest.approx(LATE + SECOND_LOOK)
    assert watched.look(after=SECOND_LOOK) == []


def test_who_goes_on_after_all_has_recovered(watched):
    watched.add(1, pid=os.getpid())
    watched.look(after=LATE)
    watched.look(after=SECOND_LOOK)
    watched.beat(1)
    assert watched.look(after=SECOND_LOOK) == [events.WorkerRecovered(1, 1)]
    assert watched.next_look() == pytest.approx(LIMIT / LOOKS)


def test_who_is_gone_is_suspected_no_more(watched):
    watched.add(1, pid=os.getpid())
    watched.look(after=LATE)
    watched.house.forget_worker(watched.house.workers[1])
    assert watched.look(after=SECOND_LOOK) == []
    watched.add(1, pid=os.getpid())
    assert watched.look(after=LIMIT / LOOKS) == []
    assert watched.next_look() == pytest.approx(LIMIT / LOOKS)


@pytest.mark.parametrize(("used", "busy"), [(0.0, False), (0.05, False), (0.5, True)])
def test_burning_cpu_time_is_told_from_standing_still(watched, monkeypatch, used, busy):
    times = [7.0, 7.0 + used * SECOND_LOOK]
    monkeypatch.setattr(usage, "cpu_seconds", lambda pid: times.pop(0))
    watched.add(1, pid=os.getpid())
    watched.look(after=LATE)
    [stalled] = watched.look(after=SECOND_LOOK)
    assert stalled.busy is busy


def test_the_loop_wakes_up_for_it(watched):
    watched.add(1, pid=os.getpid(), beat=LIMIT + 1)
    watched.house.watch._last_look -= LIMIT
    assert list(observe.wait(watched.house, None)) == []
    assert watched.house.watch._suspects.keys() == {1}
    assert list(observe.wait(watched.house, time.monotonic() - 1)) == [events.TimePassed()]


@pytest.mark.parametrize(
    ("before", "after", "victims"),
    [(3, 3, []), (3, 4, [True]), (3, 5, [True, True]), (3, 9, [True, True])],
)
def test_who_died_of_a_lack_of_memory_is_told(watched, monkeypatch, before, after, victims):
    monkeypatch.setattr(usage, "oom_kills", lambda: before)
    watched.look()
    monkeypatch.setattr(usage, "oom_kills", lambda: after)
    for serial, program in ((1, "os.kill(os.getpid(), 9)"), (2, "os.kill(os.getpid(), 9)"), (3, "exit(1)")):
        child = subprocess.Popen([sys.executable, "-c", f"import os; {program}"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        child.returncode = 0  # it is `observe` that waits
        watched.add(serial, pid=child.pid)
    exits = []
    while len(exits) < 3:
        exits += observe.wait(watched.house, time.monotonic() + 20)
    assert [gone.oom for gone in exits if gone.oom] == victims
    assert all(gone.status == -9 for gone in exits if gone.oom)
    assert watched.house.watch.oom_victims(1) == 0, "all are accounted for"
