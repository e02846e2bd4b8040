"""The watchdog over this thread, which is the main one."""

from __future__ import annotations

import logging
import queue
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest

from sdserve.worker.watchdog import SIGNAL, OverdueError, Watchdog
from tests.worker.serving import TIMEOUT

SOON = 0.1


class Subject:
    where = "GET /slow"


@pytest.fixture
def found():
    return queue.SimpleQueue()


@pytest.fixture
def watchdog(found, monkeypatch):
    monkeypatch.setattr("sdserve.worker.watchdog._PERIOD", SOON)
    before = signal.getsignal(SIGNAL)
    made = Watchdog(SOON, lambda: found.put(True))
    made.subject = Subject()
    made.start()
    yield made
    made.stop()
    signal.signal(SIGNAL, before)


def spin():
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        pass
    pytest.fail("nobody interrupted it")


def wait_for_a_lock():
    lock = threading.Lock()
    lock.acquire()
    assert lock.acquire(timeout=TIMEOUT), "nobody interrupted it"


def wait_for_a_socket():
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(TIMEOUT)
        here.recv(1)


def sleep():
    time.sleep(TIMEOUT)
    pytest.fail("nobody interrupted it")


@pytest.mark.parametrize("call", [spin, wait_for_a_lock, wait_for_a_socket, sleep])
def test_what_takes_too_long_is_interrupted_and_told_once(watchdog, found, caplog, call):
    with pytest.raises(OverdueError):
        watchdog.call(call)
    found.get(timeout=TIMEOUT)
    assert found.empty()
    assert watchdog.has_found(watchdog.subject)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage().startswith("GET /slow: the application made no progress for 0 seconds")
    assert f"in {call.__name__}" in record.getMessage()


def test_code_that_catches_it_and_goes_on_gets_it_again(watchdog, found):
    caught = []

    def stubborn():
        while len(caught) < 3:
            try:
                spin()
            except OverdueError as error:
                caught.append(error)
        return "the end"

    assert watchdog.call(stubborn) == "the end"
    assert len(caught) == 3
    found.get(timeout=TIMEOUT)
    assert found.empty()


def test_each_stretch_has_a_number_of_its_own(watchdog):
    numbers = []

    def call():
        numbers.append(watchdog._running)
        watchdog.shielded(lambda: numbers.append(watchdog._running))
        numbers.append(watchdog._running)

    watchdog.call(call)
    watchdog.call(call)
    first, shielded, second, third, _, fourth = numbers
    assert shielded == 0
    assert len({first, shielded, second, third, fourth}) == 5
    assert watchdog._running == 0


def test_what_is_called_back_is_shielded_and_counts_as_progress(watchdog, found):
    """A call back that takes very long, then code that is interrupted: not the call back."""
    done = []

    def slow():
        time.sleep(5 * SOON)
        done.append("called back")

    def call():
        watchdog.shielded(slow)
        assert found.empty()
        spin()

    with pytest.raises(OverdueError):
        watchdog.call(call)
    assert done == ["called back"]


def test_what_a_shielded_function_raises_comes_out(watchdog):
    def raises():
        raise ValueError("of ours")

    def call():
        with pytest.raises(ValueError, match="of ours"):
            watchdog.shielded(raises)
        spin()

    with pytest.raises(OverdueError):
        watchdog.call(call)
    with pytest.raises(ValueError, match="of ours"):
        watchdog.shielded(raises)  # outside of a call
    assert watchdog._running == 0


def test_signals_do_not_pile_up_behind_code_that_handles_none(watchdog, monkeypatch):
    sent = []
    kill = signal.pthread_kill

    def counted(thread, number):
        sent.append(number)
        kill(thread, number)

    monkeypatch.setattr("sdserve.worker.watchdog.signal.pthread_kill", counted)

    def deaf():
        """As C code is that does not return."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {SIGNAL})
        try:
            time.sleep(6 * SOON)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})
        spin()

    with pytest.raises(OverdueError):
        watchdog.call(deaf)
    assert len(sent) == 1


def test_parts_are_calls_as_well(watchdog):
    def parts():
        yield b"one"
        yield b"two"
        spin()

    iterator = watchdog.each(parts())
    assert next(iterator) == b"one"
    time.sleep(3 * SOON)  # the time between two parts is not the application's
    assert next(iterator) == b"two"
    with pytest.raises(OverdueError):
        next(iterator)
    assert list(watchdog.each([b"a", b"b"])) == [b"a", b"b"]


def test_an_iterator_that_takes_too_long_to_make_is_interrupted(watchdog):
    class Slow:
        def __iter__(self):
            spin()

    with pytest.raises(OverdueError):
        next(watchdog.each(Slow()))


def test_a_signal_that_comes_late_does_nothing(watchdog):
    """Found overdue, but returned before the handler runs: as if the signal had been on its way."""
    with pytest.raises(OverdueError):
        watchdog.call(spin)
    signal.raise_signal(SIGNAL)
    watchdog.call(signal.raise_signal, SIGNAL)


def test_a_call_that_ends_in_the_same_instant_is_not_told(watchdog, found, caplog, monkeypatch):
    """Found overdue, but it ends before the signal comes: no error, and no reason to replace anything."""
    go_on, killed = threading.Event(), threading.Event()
    kill = signal.pthread_kill

    def late(thread, number):
        go_on.set()
        assert ended.wait(TIMEOUT)
        kill(thread, number)
        killed.set()

    ended = threading.Event()
    monkeypatch.setattr("sdserve.worker.watchdog.signal.pthread_kill", late)
    assert watchdog.call(go_on.wait, TIMEOUT)
    ended.set()
    assert killed.wait(TIMEOUT)
    monkeypatch.setattr("sdserve.worker.watchdog.signal.pthread_kill", kill)
    assert not watchdog.has_found(watchdog.subject)
    with pytest.raises(OverdueError):
        watchdog.call(sleep)  # it still looks
    found.get(timeout=TIMEOUT)
    assert found.empty()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "in sleep" in record.getMessage()


def test_code_that_handles_no_signal_is_told_all_the_same(watchdog, found):
    """As C code is that does not return."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {SIGNAL})
    try:
        watchdog.call(found.get, True, TIMEOUT)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})
    with pytest.raises(OverdueError):
        watchdog.call(spin)
    found.get(timeout=TIMEOUT)
    assert found.empty()


def test_nothing_is_looked_at_once_it_has_stopped(found):
    before = signal.getsignal(SIGNAL)
    watchdog = Watchdog(SOON, lambda: found.put(True))
    watchdog.start()
    watchdog.stop()
    watchdog._thread.join(TIMEOUT)
    assert not watchdog._thread.is_alive()
    watchdog.call(time.sleep, 3 * SOON)
    assert found.empty()
    signal.signal(SIGNAL, before)


def test_no_exception_comes_out_of_our_own_code(watchdog):
    """Calls that end about when they are found overdue: what is raised is raised inside."""
    watchdog._timeout = SOON / 5
    for round_ in range(60):
        end = time.monotonic() + watchdog._timeout * (1 + round_ / 100)

        def until(end=end):
            while time.monotonic() < end:
                pass

        with suppress(OverdueError):
            watchdog.call(until)
        assert watchdog._running == 0
