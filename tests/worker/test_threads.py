from __future__ import annotations

import queue
import threading
import weakref

from sdserve.worker.threads import ThreadPool
from tests.worker.serving import TIMEOUT


def test_calls_run_on_as_many_threads_as_there_are():
    pool = ThreadPool(3)
    barrier = threading.Barrier(4)
    for _ in range(3):
        pool.submit(lambda: barrier.wait(TIMEOUT))
    barrier.wait(TIMEOUT)  # returns only if all three run at once
    pool.stop()


def test_calls_of_one_thread_run_in_order():
    pool = ThreadPool(1)
    done = queue.SimpleQueue()
    for number in range(100):
        pool.submit(lambda number=number: done.put(number))
    assert [done.get(timeout=TIMEOUT) for _ in range(100)] == list(range(100))
    pool.stop()


def test_stop_ends_each_thread_when_it_is_free():
    pool = ThreadPool(2)
    threads = queue.SimpleQueue()
    go_on = threading.Event()

    def call():
        threads.put(threading.current_thread())
        go_on.wait(TIMEOUT)

    pool.submit(call)
    pool.submit(call)
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

    pool.submit(fails)
    pool.submit(done.set)
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

    pool.submit(hang)
    hanging = threads.get(timeout=TIMEOUT)
    pool.submit(other)
    assert pool.leave_behind(hang) == hanging.ident
    successor = threads.get(timeout=TIMEOUT)
    assert successor is not hanging
    assert pool.leave_behind(hang) is None
    pool.submit(other)
    assert threads.get(timeout=TIMEOUT) is successor
    go_on.set()
    hanging.join(TIMEOUT)
    assert not hanging.is_alive()
    pool.stop()
    successor.join(TIMEOUT)
    assert not successor.is_alive()


def test_a_pool_keeps_nothing_of_a_call_that_has_returned():
    pool = ThreadPool(1)
    released = threading.Event()

    class Call:
        def __call__(self):
            pass

    call = Call()
    reference = weakref.ref(call, lambda _: released.set())
    pool.submit(call)
    del call
    assert released.wait(TIMEOUT)
    assert reference() is None
    pool.stop()
