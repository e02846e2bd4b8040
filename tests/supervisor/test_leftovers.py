from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
from time import monotonic

import pytest

from sdserve.host import usage
from sdserve.supervisor import observe
from sdserve.supervisor.leftovers import LOOK, Leftovers


class Process:
    """A process that lives until it is killed."""

    def __init__(self):
        self.child = subprocess.Popen(
            [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"], stdout=subprocess.PIPE
        )
        self.child.stdout.readline()
        self.pid = self.child.pid
        self.started = usage.started(self.pid)

    def end(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()


@pytest.fixture
def process():
    made = Process()
    yield made
    made.end()


@pytest.fixture
def leftovers():
    made = Leftovers()
    yield made
    made.close()


def test_without_anybody_nobody_looks(leftovers):
    assert leftovers.next_look(None) is None
    assert leftovers.pids == leftovers.describe() == []


def test_who_has_ended_is_forgotten(leftovers, process, caplog):
    caplog.set_level(logging.INFO, "sdserve")
    leftovers.add(process.pid, process.started, 1000.0)
    assert leftovers.next_look(None) == LOOK, "at once, whenever that is"
    assert list(leftovers.look(None, 500.0)) == []
    assert leftovers.next_look(None) == 500.0 + LOOK
    assert leftovers.pids == [process.pid]
    assert leftovers.describe() == [(process.pid, process.started, 1000.0)]
    process.end()
    leftovers.look(None, 501.0)
    assert leftovers.pids == []
    assert leftovers.next_look(None) is None
    assert caplog.messages == ["what the supervisor that died had left has ended"]


def test_who_is_too_late_is_killed(leftovers, process, caplog):
    leftovers.add(process.pid, process.started, 1000.0)
    leftovers.look(None, 999.9)
    assert process.child.poll() is None
    leftovers.look(None, 1000.0)
    assert process.child.wait(20) == -signal.SIGKILL
    assert f"process {process.pid} of the supervisor that died has not ended, killing it" in caplog.messages
    leftovers.look(None, 1001.0)
    assert leftovers.pids == []


@pytest.mark.parametrize("by", [-1, 1])
def test_a_number_that_another_process_has_is_left_alone(leftovers, process, by):
    leftovers.add(process.pid, process.started + by, 0.0)
    assert leftovers.pids == []
    leftovers.look(None, 1000.0)
    assert process.child.poll() is None


def test_who_is_gone_already_is_not_waited_for(leftovers, process):
    pid, started = process.pid, process.started
    process.end()
    leftovers.add(pid, started, 0.0)
    leftovers.add(2**22 + 9, 5, 0.0)
    leftovers.add(-1, 5, 0.0)
    assert leftovers.pids == []


def test_no_descriptor_is_left_open(process):
    before = len(os.listdir("/proc/self/fd"))
    leftovers = Leftovers()
    leftovers.add(process.pid, process.started - 1, 0.0)
    leftovers.add(process.pid, process.started, 0.0)
    leftovers.add(process.pid, process.started, 0.0)
    assert len(os.listdir("/proc/self/fd")) == before + 2
    leftovers.close()
    leftovers.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_loop_looks(start, process):
    house = start().house
    house.leftovers.add(process.pid, process.started, monotonic() - 1)
    observe_until_killed(house, process)
    house.close()
    assert house.leftovers.pids == []


def observe_until_killed(house, process):
    list(observe.wait(house, None))
    pidfd = os.pidfd_open(process.pid)
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
