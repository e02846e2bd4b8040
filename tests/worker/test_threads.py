from __future__ import annotations

import queue
import sys
import threading
import weakref
from functools import partial

import pytest

from sdserve.worker.threads import ThreadPool
from tests.worker.serving import TIMEOUT


def test_calls_run_on_as_many_threads_as_there_are():
    pool = ThreadPool(3)
    barrier = threading.Barrier(4)
    for _ in range(3):
        pool.submit(lambda: barrier.wait(TIMEOUT), 0.0)
    barrier.wait(TIMEOUT)  # returns only if all three run at once
    pool.stop()


def test_calls_of_one_thread_run_in_order():
    pool = ThreadPool(1)
    done = queue.SimpleQueue()
    for number in range(100):
        pool.submit(lambda number=number: done.put(number), 0.0)
    assert [done.get(timeout=TIMEOUT) for _ in range(100)] == list(range(100))
    pool.stop()


def test_stop_ends_each_thread_when_it_is_free():
    pool = ThreadPool(2)
    threads = queue.SimpleQueue()
    go_on = threading.Event()

    def call():
        threads.put(threading.current_thread())
        go_on.wait(TIMEOUT)

    pool.submit(call, 0.0)
    pool.submit(partial(call), 0.0)
    working = [threads.get(timeout=TIMEOUT) for _ in range(2)]
    pool.stop()
    go_on.set()
    for thread in working:
        assert thread.daemon
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def test_a_call_that_fails_does_not_end_its_thread(caplog):
    pool = ThreadPool(1)
    done = threading.Event()

    def fails():
        raise SystemExit

    pool.submit(fails, 0.0)
    pool.submit(done.set, 0.0)
    assert done.wait(TIMEOUT)
    assert "failed in sdserve itself" in caplog.text
    pool.stop()


def test_a_thread_that_is_left_behind_is_replaced_and_ends_with_its_call():
    pool = ThreadPool(1)
    go_on = threading.Event()
    threads = queue.SimpleQueue()

    def hang():
        threads.put(threading.current_thread())
        go_on.wait(TIMEOUT)

    def other():
        threads.put(threading.current_thread())

    pool.submit(hang, 0.0)
    hanging = threads.get(timeout=TIMEOUT)
    pool.submit(other, 0.0)
    assert pool.leave_behind(hang) == hanging.ident
    successor = threads.get(timeout=TIMEOUT)
    assert successor is not hanging
    assert pool.leave_behind(hang) is None
    pool.submit(other, 0.0)
    assert threads.get(timeout=TIMEOUT) is successor
    go_on.set()
    hanging.join(TIMEOUT)
    assert not hanging.is_alive()
    pool.stop()
    successor.join(TIMEOUT)
    assert not successor.is_alive()


@pytest.fixture
def busy_pool():
    """A pool of one thread, which is busy until the test says so."""
    pool = ThreadPool(1)
    began, go_on = threading.Event(), threading.Event()

    def hang():
        began.set()
        go_on.wait(TIMEOUT)

    pool.submit(hang, 0.0)
    assert began.wait(TIMEOUT)
    yield pool, go_on
    go_on.set()
    pool.stop()


def test_a_call_that_is_withdrawn_does_not_run(busy_pool):
    pool, go_on = busy_pool
    done = queue.SimpleQueue()
    calls = [lambda number=number: done.put(number) for number in range(10)]
    for call in calls:
        pool.submit(call, 0.0)
    assert all(pool.withdraw(call) for call in calls[::2])
    assert not pool.withdraw(calls[0])
    go_on.set()
    assert [done.get(timeout=TIMEOUT) for _ in range(5)] == [1, 3, 5, 7, 9]
    assert not pool.withdraw(calls[1])
    assert done.empty()


def test_calls_that_are_withdrawn_leave_nothing_behind(busy_pool):
    pool, go_on = busy_pool
    done = threading.Event()
    references = []
    for _ in range(100):
        call = partial(done.wait, TIMEOUT)
        references.append(weakref.ref(call))
        pool.submit(call, 0.0)
        assert pool.withdraw(call)
        del call
    assert not any(reference() for reference in references)
    assert pool._tokens.qsize() == 1
    pool.submit(done.set, 0.0)
    go_on.set()
    assert done.wait(TIMEOUT)


def test_what_waits_is_known_by_its_age(busy_pool):
    pool, _ = busy_pool
    calls = [partial(int, number) for number in range(5)]
    for number, call in enumerate(calls):
        pool.submit(call, float(number))
    assert pool.submitted_until(2.0) == calls[:3]
    assert pool.submitted_until(-1.0) == []
    assert pool.submitted_until(9.0) == calls


@pytest.mark.parametrize("withdrawn", [0, 2, 3])
def test_no_call_is_forgotten_whatever_happens_meanwhile(withdrawn):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take calls in the midst of `submit`
    try:
        pool = ThreadPool(4)
        for _ in range(5):
            done = queue.SimpleQueue()
            expected = 0
            for number in range(4000):
                call = partial(done.put, number)
                pool.submit(call, 0.0)
                if not (withdrawn and number % withdrawn and pool.withdraw(call)):
                    expected += 1
            assert len({done.get(timeout=TIMEOUT) for _ in range(expected)}) == expected
            assert done.empty()
        pool.stop()
    finally:
        sys.setswitchinterval(interval)


def test_a_pool_keeps_nothing_of_a_call_that_has_returned():
    pool = ThreadPool(1)
    released = threading.Event()

    class Call:
        def __call__(self):
            pass

    call = Call()
    reference = weakref.ref(call, lambda _: released.set())
    pool.submit(call, 0.0)
    del call
    assert released.wait(TIMEOUT)
    assert reference() is None
    pool.stop()
