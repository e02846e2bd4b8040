from __future__ import annotations

import os
import select
import signal

import pytest

from sdserve.host.signals import Signals


@pytest.fixture
def signals():
    taken = Signals([signal.SIGUSR1, signal.SIGUSR2])
    yield taken
    taken.close()


def is_readable(signals):
    return bool(select.select([signals], [], [], 0)[0])


def test_a_signal_becomes_something_to_read(signals):
    assert not is_readable(signals)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert is_readable(signals)
    assert signals.read() == {signal.SIGUSR1}
    assert not is_readable(signals)
    assert signals.read() == set()


def test_each_is_reported_once_however_often_it_came(signals):
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
    assert signals.read() == {signal.SIGUSR1, signal.SIGUSR2}


def test_a_flood_neither_blocks_nor_warns_nor_loses_a_kind(signals):
    # More than the socket holds: each byte takes a packet's worth of its buffer.
    for _ in range(2000):
        os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert is_readable(signals)
    assert signals.read() == {signal.SIGUSR1, signal.SIGUSR2}
    assert signals.read() == set()
    assert not is_readable(signals)


def test_closing_gives_the_handlers_back():
    before = signal.getsignal(signal.SIGUSR1)
    signals = Signals([signal.SIGUSR1])
    assert signal.getsignal(signal.SIGUSR1) is not before
    signals.close()
    assert signal.getsignal(signal.SIGUSR1) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_no_descriptor_passes_through_an_exec(signals):
    assert not os.get_inheritable(signals.fileno())


def test_what_is_ignored_may_stay_so():
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signals = Signals([signal.SIGUSR1, signal.SIGUSR2], keep_ignored=[signal.SIGUSR1, signal.SIGUSR2])
    try:
        for signum in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), signum)
        assert signals.read() == {signal.SIGUSR2}
        signals.close()
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signals.close()
        signal.signal(signal.SIGUSR1, before)
