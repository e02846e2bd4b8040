from __future__ import annotations

import queue
import threading

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
