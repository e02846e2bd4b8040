"""Calls on the loop's own thread that take longer than `workers.request_timeout`: processes, as only the main
thread of one can be interrupted."""

from __future__ import annotations

from functools import partial

import pytest

from sdserve.core.wire.messages import Drain, Ready, RecycleAsked
from sdserve.errors import EXIT_OK
from sdserve.worker.watchdog import Watchdog
from tests.worker.answers import PLAIN

IDENTITY = {"generation": 3, "serial": 14}
REASON = "a request has made no progress for workers.request_timeout"
SOON = 0.2


def get(path):
    return b"GET " + path + b"?secret HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=["uvloop", "asyncio"])
def worker(fork, request):
    started = fork("stuck", loop=request.param, request_timeout=SOON)
    assert started.told() == Ready(**IDENTITY, interface="wsgi")
    return started


def end(worker):
    """It has asked for a successor once; let it drain. What it wrote to standard error."""
    assert worker.told() == RecycleAsked(**IDENTITY, reason=REASON)
    worker.tell(Drain(**IDENTITY))
    status, errors = worker.end()
    assert status == EXIT_OK
    assert errors.count(f"warning worker 2 of generation 3: this worker asks to be replaced: {REASON}") == 1
    assert errors.count(" and is interrupted; it was at:\n") == 1
    assert "secret" not in errors
    assert "in stuck" in errors or "in StuckParts" in errors
    return errors


def test_a_call_that_takes_too_long_is_answered_504(worker):
    client = worker.connect()
    waiting = worker.connect()
    assert waiting.request(get(b"/hello")).body == b"first"
    client.send(get(b"/sleep"))
    assert worker.process.stdout.readline() == "asleep\n"
    waiting.send(get(b"/hello"))
    response = client.response()
    assert (response.status, response.body) == (504, b"504 Gateway Timeout\n")
    assert waiting.response().body == b"first"
    errors = end(worker)
    assert (
        "error worker 2 of generation 3: GET /sleep: the application made no progress for 0 seconds" in errors
    )
    assert "the application raised" not in errors


def test_an_answer_that_has_begun_is_cut(worker):
    client = worker.connect()
    client.send(get(b"/part"))
    client.head()
    assert client.chunk() == b"first"
    assert client.rest_of_cut() == b""
    errors = end(worker)
    assert "error worker 2 of generation 3: GET /part: " in errors
    assert "closed by sdserve" in errors


def test_an_application_that_catches_it_may_answer(worker):
    assert worker.connect().request(get(b"/catch")).body == b"caught"
    end(worker)


def test_an_application_that_makes_something_else_of_it(worker):
    assert worker.connect().request(get(b"/change")).status == 504
    errors = end(worker)
    assert "GET /change: the application raised" in errors
    assert "ValueError: something else" in errors


def test_close_that_takes_too_long_is_ended(worker):
    client = worker.connect()
    assert client.request(get(b"/close")).body == b"first"
    errors = end(worker)
    assert "GET /close: close() of the application's iterable raised" in errors


def test_what_is_fast_enough_is_left_alone(worker):
    client = worker.connect()
    for _ in range(20):
        assert client.request(get(b"/hello")).body == b"first"
    worker.tell(Drain(**IDENTITY))
    assert worker.end() == (EXIT_OK, "")


def test_what_it_says_on_the_way_is_progress(serve):
    watchdog = Watchdog(600, lambda: None)
    numbers = []

    def application(environ, start_response):
        numbers.append(watchdog._running)
        environ["wsgi.early_hints"]([("Link", "</a>")])
        numbers.append(watchdog._running)
        write = start_response("200 OK", PLAIN)
        write(b"first")
        numbers.append(watchdog._running)
        return [b"last"]

    worker = serve(application)
    gateway = worker.server.gateway
    worker.call(setattr, gateway, "application", partial(watchdog.call, application))
    worker.call(setattr, gateway, "watchdog", watchdog)
    client = worker.connect()
    client.send(get(b"/"))
    assert client.head() == (103, {"link": "</a>"})
    assert client.response().body == b"firstlast"
    assert 0 not in numbers
    assert len(set(numbers)) == 3
