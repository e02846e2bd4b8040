from __future__ import annotations

import time

import pytest

from sdserve.core.gateway.options import WorkerOptions
from sdserve.core.wire.messages import Drain, Ready, RecycleAsked
from sdserve.errors import EXIT_OK
from sdserve.worker.recycling import Recycling, resident_memory
from tests.worker.serving import REQUEST, TIMEOUT

IDENTITY = {"generation": 3, "serial": 14}


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def hello(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


def test_without_options_a_worker_stays_for_ever():
    assert Recycling(WorkerOptions()).reason(10**9, time.monotonic() + 1e9) == ""


def test_the_number_of_requests():
    recycling = Recycling(WorkerOptions(max_requests=100))
    assert recycling.reason(99, time.monotonic()) == ""
    assert recycling.reason(103, time.monotonic()) == "workers.max_requests: it has answered 103"


def test_the_age():
    now = time.monotonic()
    recycling = Recycling(WorkerOptions(max_age=3600.0))
    assert recycling.reason(0, now + 3590) == ""
    assert recycling.reason(0, now + 3610).startswith("workers.max_age: it is 36")


def test_the_memory_is_looked_at_now_and_then():
    now = time.monotonic()
    recycling = Recycling(WorkerOptions(max_memory=resident_memory() + (64 << 20)))
    assert recycling.reason(0, now + 1) == ""
    ballast = b"x" * (256 << 20)
    assert recycling.reason(0, now + 5) == ""
    assert recycling.reason(0, now + 6).startswith("workers.max_memory: its resident set has ")
    del ballast


@pytest.mark.parametrize("option", [{"max_requests": 3}, {"max_age": 0.001}, {"max_memory": 1}])
def test_a_worker_asks_once_and_serves_on(serve, option):
    worker = serve(hello, workers=option)
    client = worker.connect()
    for _ in range(3):
        client.request()
    wait_until(lambda: worker.retiring)
    beat = worker.server.clock.now
    wait_until(lambda: worker.server.clock.now > beat + 0.1)
    assert len(worker.retiring) == 1
    assert worker.retiring[0].startswith(f"workers.{next(iter(option))}: ")
    assert "connection" not in client.request().fields
    assert worker.log.texts() == [text for text in worker.log.texts() if "replaced" not in text]


def test_the_supervisor_is_asked(fork):
    worker = fork("wsgi", max_requests=2)
    assert isinstance(worker.told(), Ready)
    client = worker.connect()
    for _ in range(2):
        assert client.request(REQUEST).status == 200
    assert worker.told() == RecycleAsked(**IDENTITY, reason="workers.max_requests: it has answered 2")
    assert client.request(REQUEST).status == 200
    worker.tell(Drain(**IDENTITY))
    assert worker.end() == (EXIT_OK, "")
