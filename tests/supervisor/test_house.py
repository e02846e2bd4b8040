from __future__ import annotations

import os
import signal

from sdserve.core.fleet import effects, events
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
