from __future__ import annotations

import errno
import os
import resource
import signal
from time import monotonic

import pytest

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.host.channel import Received
from sdserve.supervisor import observe, orders
from sdserve.supervisor.house import ROWS
from tests.supervisor.conftest import TIMEOUT, freeze, observed

FORK = effects.Fork(generation=1, serial=1, slot=1)
DRAIN = wire.Drain(generation=1, serial=1)
SERVE = wire.Serve(generation=1, serial=1)


def fill(channel):
    """How many messages it took."""
    count = 0
    while True:
        try:
            channel.send(SERVE)
        except BlockingIOError:
            return count
        count += 1


def wait_until(supervisor, condition):
    deadline = monotonic() + TIMEOUT
    while not condition():
        assert monotonic() < deadline
        supervisor.pending += observe.wait(supervisor.house, deadline)


def test_a_worker_that_does_not_read_for_a_while_is_told_when_it_does(opened):
    with observed(opened, 1) as worker:
        known = opened.house.workers[1]
        count = fill(known.channel)
        for effect in (effects.Drain(1, 1, heir=4), effects.Drain(1, 1)):
            assert opened.order(effect) == []
        assert known.channel.fileno() >= 0, "it is not given up"
        assert [worker.receive().message for _ in range(count)] == [SERVE] * count
        wait_until(opened, lambda: not known.unsaid)
        assert worker.receive() == Received(DRAIN), "only what was said last"
        assert opened.house.retry_at is None


def test_a_worker_that_never_reads_is_not_given_up_either(opened, monkeypatch):
    monkeypatch.setattr(orders, "PATIENCE", 0.0)
    with observed(opened, 1):
        known = opened.house.workers[1]
        fill(known.channel)
        assert opened.order(effects.Drain(1, 1, heir=4)) == []
        assert list(orders.retry(opened.house)) == []
        assert known.unsaid == [wire.Drain(generation=1, serial=1, heir=4)], "it may yet have heirs"


def test_a_worker_that_has_hung_up_is_not_told_again(opened):
    with observed(opened, 1) as worker:
        worker.close()
        assert opened.order(effects.Drain(1, 1)) == []
        assert opened.house.workers[1].unsaid == []
        assert opened.house.workers[1].channel.fileno() == -1
        assert opened.order(effects.Drain(1, 1)) == []


@pytest.fixture
def limit():
    """Sets how many descriptors this process may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_NOFILE, (most or before[0], before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_worker_drains_when_there_is_a_descriptor_for_its_heirs_mailbox(opened, limit):
    with observed(opened, 1) as worker:
        limit(3)
        opened.order(effects.Serve(1, 1))
        opened.order(effects.Drain(1, 1, heir=4))
        assert worker.receive() == Received(SERVE), "which needs none"
        known = opened.house.workers[1]
        assert list(orders.retry(opened.house)) == []
        assert known.unsaid
        limit(None)
        wait_until(opened, lambda: not known.unsaid)
        received = worker.receive()
        assert received.message == wire.Drain(generation=1, serial=1, heir=4)
        received.descriptors[0].close()


def test_without_a_descriptor_it_drains_without_heirs_in_the_end(opened, limit, caplog, monkeypatch):
    monkeypatch.setattr(orders, "PATIENCE", 0.0)
    with observed(opened, 1) as worker:
        limit(3)
        opened.order(effects.Drain(1, 1, heir=4))
        limit(None)
        assert worker.receive() == Received(DRAIN)
    assert "hands no connection over: Too many open files; raise LimitNOFILE=" in caplog.text


def test_a_worker_is_forked_when_there_is_a_descriptor_for_its_channel(opened, limit):
    limit(3)
    assert opened.order(FORK) == []
    assert opened.house.workers == {}
    limit(None)
    assert opened.wait_for(events.WorkerForked).serial == 1


def test_without_a_descriptor_a_fork_fails_in_the_end(opened, limit):
    limit(3)
    assert opened.order(FORK) == []
    failed = opened.wait_for(events.ForkFailed)
    assert failed == events.ForkFailed(
        generation=1, serial=1, reason="Too many open files; raise LimitNOFILE="
    )


def test_a_zygote_that_reads_nothing_for_a_while_forks_when_it_does(opened):
    zygote = opened.house.zygotes[1]
    freeze(zygote.pid)
    last = order_until_it_is_full(opened, zygote)
    os.kill(zygote.pid, signal.SIGCONT)
    wait_until(opened, lambda: not zygote.unsaid)
    while opened.wait_for(events.WorkerForked, events.ForkFailed).serial < last:
        pass


def order_until_it_is_full(supervisor, zygote):
    """The last serial."""
    for serial in range(1, ROWS):
        assert supervisor.order(effects.Fork(generation=1, serial=serial, slot=1)) == []
        if zygote.unsaid:
            return serial
    raise AssertionError("it took all")


def test_a_zygote_that_never_reads_refuses_in_the_end(opened):
    zygote = opened.house.zygotes[1]
    freeze(zygote.pid)
    last = order_until_it_is_full(opened, zygote)
    reason = os.strerror(errno.EAGAIN)
    assert opened.wait_for(events.ForkFailed) == events.ForkFailed(generation=1, serial=last, reason=reason)


def test_a_zygote_that_dies_is_asked_no_more(opened, limit):
    limit(3)
    assert opened.order(FORK) == []
    os.kill(opened.house.zygotes[1].pid, signal.SIGKILL)
    assert opened.wait_for(events.ForkFailed, events.ZygoteExited) == events.ZygoteExited(1, -signal.SIGKILL)
