from __future__ import annotations

import os
import signal
from math import inf

from sdserve.core.fleet import effects, events
from sdserve.host import notify, scoreboard, usage
from sdserve.host.record import Record
from sdserve.supervisor.house import Forwarded
from sdserve.supervisor.keeping import Keeper
from sdserve.supervisor.recovery import Returned
from tests.supervisor.conftest import children


def test_closing_leaves_nobody_and_nothing(start):
    others = children()
    supervisor = start("deaf")
    supervisor.order(effects.OpenGeneration(1))
    supervisor.wait_for(events.ZygoteReady)
    for serial in (1, 2):
        supervisor.order(effects.Fork(generation=1, serial=serial, slot=serial))
        supervisor.wait_for(events.WorkerReady)
    before = len(os.listdir("/proc/self/fd"))
    supervisor.house.close()
    assert children() == others
    # Epoll, the pair of the signals, the listener, three channels, a mailbox; the scoreboard is the test's.
    assert before - len(os.listdir("/proc/self/fd")) == 9


def test_a_row_has_one_owner(supervisor):
    house = supervisor.house
    supervisor.wait_for(events.ZygoteReady)
    rows = []
    for serial in range(1, 4):
        rows.append(house.take_row())
        supervisor.order(effects.Fork(generation=1, serial=serial, slot=serial))
    assert rows == [worker.row for worker in house.workers.values()] == [0, 1, 2]
    house.forget_worker(house.workers[2])
    assert house.take_row() == 1


def test_workers_go_by_both_numbers(supervisor):
    supervisor.wait_for(events.ZygoteReady)
    supervisor.order(effects.Fork(generation=1, serial=5, slot=1))
    assert supervisor.house.worker_of(1, 5) is supervisor.house.workers[5]
    assert supervisor.house.worker_of(2, 5) is None
    assert supervisor.house.worker_of(1, 6) is None


def test_closing_leaves_a_number_alone_whose_owner_is_reaped(supervisor):
    supervisor.wait_for(events.ZygoteReady)
    zygote = supervisor.house.zygotes[1]
    os.kill(zygote.pid, signal.SIGKILL)
    os.waitpid(zygote.pid, 0)
    supervisor.house.close()  # would raise ProcessLookupError, or kill somebody else
    assert supervisor.house.zygotes == {}


def test_closing_lets_go_of_what_is_kept_and_of_who_was_left(start, manager):
    before = len(os.listdir("/proc/self/fd"))
    house = start().house
    house.keeper = Keeper(Record.create("state"), 3, house.poller)
    house.keeper.inlet()
    house.leftovers.add(os.getpid(), usage.started(os.getpid()), 0.0)
    house.tell_manager(notify.READY)
    house.close()
    # The scoreboard is the test's: the memory and the mapping of it.
    assert len(os.listdir("/proc/self/fd")) == before + 2


def test_it_is_quiet_when_nothing_is_left_to_be_said(start, manager):
    house = start().house
    assert house.is_quiet
    returned = Returned()
    house.forwarded.append(Forwarded(generation=0, heir=1, until=inf, forwarding=returned))
    assert not house.is_quiet
    house.forwarded.clear()
    number = 0
    while not house.manager.is_behind:
        house.tell_manager(notify.status(f"{number}"))
        number += 1
    assert not house.is_quiet
    assert manager.status
    house.catch_up()
    assert house.is_quiet


def test_what_workers_accepted_is_counted_on_when_they_are_gone(supervisor):
    supervisor.wait_for(events.ZygoteReady)
    house = supervisor.house
    for serial, count in ((1, 3), (2, 4)):
        supervisor.order(effects.Fork(generation=1, serial=serial, slot=serial))
        house.row_of(house.workers[serial]).words[scoreboard.ACCEPTED] = count
        house.forget_worker(house.workers[serial])
    assert house.accepted == 7
    assert house.scoreboard.row(0).words[scoreboard.ACCEPTED] == 0
