"""A worker's numbers and its end."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sdserve.host import scoreboard
from tests.worker.serving import REQUEST, TIMEOUT

PLAIN = [("Content-Type", "text/plain")]


def hello(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"hello"]


class Gate:
    """An ASGI application that waits in the middle of its answer until it is let go on."""

    def __init__(self):
        self.reached = threading.Event()
        self.go_on = asyncio.Event()
        self.cancelled = threading.Event()

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        begun = scope["path"] == "/begun"
        if begun:
            await self._begin(send)
        self.reached.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if not begun:
            await self._begin(send)
        await send({"type": "http.response.body", "body": b"ended"})

    async def _begin(self, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})


# The end


def test_a_drain_of_an_idle_worker_ends_at_once(serve):
    worker = serve(hello)
    worker.drain()
    worker.wait_until_drained()
    assert worker.row.words[scoreboard.STATE] == scoreboard.DRAINING


def test_a_drain_closes_idle_connections(serve):
    worker = serve(hello)
    client = worker.connect()
    assert client.request().status == 200
    worker.drain()
    assert client.rest() == b""
    worker.wait_until_drained()


def test_a_drain_serves_a_request_that_it_finds_unread(serve):
    worker = serve(hello)
    client = worker.connect()
    assert client.request().status == 200

    def drain_behind_a_request():
        client.send(REQUEST)
        worker.server.drain()

    worker.call(drain_behind_a_request)
    response = client.response()
    assert (response.body, response.fields["connection"]) == (b"hello", "close")
    assert client.is_over()
    worker.wait_until_drained()


def test_a_drain_serves_who_was_just_accepted(serve):
    worker = serve(hello)
    client = worker.connect()
    worker.settle()
    worker.drain()
    response = client.request()
    assert (response.body, response.fields["connection"]) == (b"hello", "close")
    worker.wait_until_drained()


def test_a_drain_does_not_wait_for_who_never_asks(serve):
    worker = serve(hello, head_timeout=100.0)
    client = worker.connect()
    worker.settle()
    worker.drain()
    assert client.rest() == b""
    worker.wait_until_drained()


def test_a_drain_finishes_what_is_in_flight(serve):
    application = Gate()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    worker.call(application.go_on.set)
    response = client.response()
    assert (response.body, response.fields["connection"]) == (b"begun ended", "close")
    assert client.is_over()
    worker.wait_until_drained()


def test_a_drain_finishes_an_answer_that_has_begun(serve):
    """Its head was sent before, so it could not say `Connection: close`; the connection is closed anyway."""
    application = Gate()
    worker = serve(application)
    client = worker.connect()
    client.send(b"GET /begun HTTP/1.1\r\nHost: a\r\n\r\n")
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    worker.call(application.go_on.set)
    response = client.response()
    assert response.body == b"begun ended"
    assert "connection" not in response.fields
    assert client.is_over()
    worker.wait_until_drained()


def test_a_drain_finishes_a_request_that_has_begun_to_arrive(serve, threads):
    worker = serve(hello, threads=threads)
    in_head, in_body = worker.connect(), worker.connect()
    in_head.send(REQUEST[:10])
    in_body.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
    worker.settle()
    worker.drain()
    in_head.send(REQUEST[10:])
    in_body.send(b"bc")
    for client in (in_head, in_body):
        response = client.response()
        assert (response.body, response.fields["connection"]) == (b"hello", "close")
        assert client.is_over()
    worker.wait_until_drained()


def test_a_drain_ends_a_connection_once_its_unread_body_is_here(serve):
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    worker = serve(application)
    client = worker.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
    assert client.response().body == b"hello"
    worker.drain()
    client.send(b"bc")
    assert client.is_over()
    worker.wait_until_drained()


def test_pipelined_requests_behind_the_one_being_answered_are_not_begun(serve):
    application = Gate()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST * 3)
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    worker.call(application.go_on.set)
    assert client.response().fields["connection"] == "close"
    assert client.is_over()
    client.close()
    worker.wait_until_drained()


def test_no_connection_is_accepted_while_draining(serve):
    application = Gate()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    late = worker.connect()  # the kernel's backlog takes it: it is for another worker
    late.send(REQUEST)
    worker.settle()
    assert worker.row.words[scoreboard.ACCEPTED] == 1
    worker.call(application.go_on.set)
    client.response()
    worker.wait_until_drained()


def test_a_second_drain_changes_nothing(serve):
    application = Gate()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    worker.drain()
    worker.call(application.go_on.set)
    assert client.response().body == b"begun ended"
    worker.wait_until_drained()


def test_drain_timeout_cuts_off_what_has_not_finished(serve):
    application = Gate()
    worker = serve(application, drain_timeout=0.2)
    client = worker.connect()
    client.send(REQUEST)
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    assert client.is_over()
    worker.wait_until_drained()
    assert application.cancelled.is_set()
    assert (
        "workers.drain_timeout has passed: 1 connections are cut off, 1 calls are left" in worker.log.texts()
    )


@pytest.mark.parametrize("fails", [False, True])
def test_drain_timeout_does_not_wait_for_a_thread_that_hangs(serve, fails):
    go_on, reached, ended = threading.Event(), threading.Event(), threading.Event()

    def application(environ, start_response):
        reached.set()
        go_on.wait(TIMEOUT)
        ended.set()
        if fails:
            raise ValueError
        return hello(environ, start_response)

    worker = serve(application, threads=2, drain_timeout=0.2)
    client = worker.connect()
    client.send(REQUEST)
    assert reached.wait(TIMEOUT)
    worker.drain()
    worker.wait_until_drained()
    assert client.is_over()
    go_on.set()
    assert ended.wait(TIMEOUT)


def test_a_drain_waits_for_work_behind_the_answer(serve):
    finish, finished = asyncio.Event(), threading.Event()

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})
        await finish.wait()
        finished.set()

    worker = serve(application)
    assert worker.request().body == b"hello"
    worker.drain()
    worker.call(finish.set)
    worker.wait_until_drained()
    assert finished.is_set()


# Numbers


def test_the_scoreboard_is_kept(serve):
    application = Gate()
    worker = serve(application)
    words = worker.row.words
    assert words[scoreboard.STATE] == scoreboard.READY
    clients = [worker.connect() for _ in range(3)]
    clients[0].send(REQUEST)
    assert application.reached.wait(TIMEOUT)
    worker.settle()
    assert words[scoreboard.ACCEPTED] == words[scoreboard.CONNECTIONS] == 3
    assert words[scoreboard.IN_FLIGHT] == 1
    worker.call(application.go_on.set)
    clients[0].response()
    worker.errors()
    assert words[scoreboard.CONNECTIONS] == 0
    assert words[scoreboard.ACCEPTED] == 3


@pytest.mark.parametrize("end", ["answered", "reset", "failed", "refused"])
def test_what_was_in_flight_is_counted_off(serve, end):
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        if end == "failed":
            raise ValueError
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    worker = serve(application)
    client = worker.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    worker.settle()
    if end == "reset":
        client.reset()
    else:
        client.send(b"0\r\n\r\n" if end == "answered" else b"wrong\r\n")
        client.response()
    worker.settle()
    assert worker.call(lambda: worker.server.in_flight) == 0
    worker.errors()
    assert worker.row.words[scoreboard.ERRORS] == (end == "failed")


def test_the_heart_beats(serve):
    worker = serve(hello)
    began = worker.row.words[scoreboard.HEARTBEAT_NS]
    assert 0 < began <= time.monotonic_ns()
    deadline = time.monotonic() + TIMEOUT
    while worker.row.words[scoreboard.HEARTBEAT_NS] == began:
        assert time.monotonic() < deadline
        worker.settle()
