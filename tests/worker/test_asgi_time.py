"""workers.request_timeout: applications that take too long, and ones that only seem to."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from tests.worker.answers import START, Told, body, http_only
from tests.worker.answers import asgi_hello as hello
from tests.worker.serving import REQUEST

SHORT = 0.2
LONG = 4 * SHORT


@pytest.fixture(autouse=True)
def short_last_word(monkeypatch):
    monkeypatch.setattr("sdserve.worker.asgi_exchange._LAST_WORD", 0.1)


async def for_ever():
    await asyncio.get_running_loop().create_future()


def is_the_line(text, where="GET /slow"):
    return text.startswith(f"{where}: the application made no progress for ") and (
        "(workers.request_timeout) and is cancelled; it was at " in text
    )


def test_a_request_without_an_answer_is_ended_with_504(serve):
    @http_only
    async def application(scope, receive, send):
        if scope["path"] == "/slow":
            await for_ever()
        await hello(scope, receive, send)

    worker = serve(application, request_timeout=SHORT)
    client = worker.connect()
    response = client.request(b"GET /slow?secret HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (response.status, response.body) == (504, b"504 Gateway Timeout\n")
    assert client.request().body == b"hello"
    (text,) = worker.errors()
    assert is_the_line(text)
    assert "test_asgi_time.py" in text
    assert "in for_ever" in text


def test_an_answer_that_has_begun_is_cut_off(serve):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        await send(body(b"begun", more=True))
        await for_ever()

    worker = serve(application, request_timeout=SHORT)
    client = worker.connect()
    client.send(REQUEST)
    assert not client.rest_of_cut().endswith(b"0\r\n\r\n")
    assert len(worker.errors()) == 1


def test_an_application_may_answer_by_itself_when_it_is_cancelled(serve):
    @http_only
    async def application(scope, receive, send):
        try:
            await for_ever()
        except asyncio.CancelledError:
            await send({**START, "status": 503})
            await send(body(b"busy"))

    worker = serve(application, request_timeout=SHORT)
    assert worker.request().status == 503
    assert len(worker.errors()) == 1


@pytest.mark.parametrize("begun", [False, True])
def test_an_application_that_does_not_let_itself_be_cancelled_holds_no_client(serve, begun):
    release = asyncio.Event()

    @http_only
    async def application(scope, receive, send):
        if begun:
            await send(START)
            await send(body(b"begun", more=True))
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                told("cancelled")
        try:
            await send(START)
        except OSError:
            told("gone")

    told = Told()
    worker = serve(application, request_timeout=SHORT)
    client = worker.connect()
    client.send(REQUEST)
    if begun:
        client.rest_of_cut()
    else:
        assert client.response().status == 504
    assert told.next() == "cancelled"
    worker.call(release.set)
    assert told.next() == "gone"
    (text,) = worker.errors()
    assert is_the_line(text, "GET /")


def test_an_answer_that_comes_too_late_is_no_mistake(serve):
    release = asyncio.Event()

    @http_only
    async def application(scope, receive, send):
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        await hello(scope, receive, send)

    worker = serve(application, request_timeout=SHORT)
    assert worker.request().status == 504
    worker.call(release.set)
    worker.wait_for(lambda: not worker.server.gateway.busy)
    (text,) = worker.errors()
    assert is_the_line(text, "GET /")


def test_an_application_that_cannot_be_cancelled_does_not_hold_the_end_of_the_worker(serve):
    @http_only
    async def application(scope, receive, send):
        while True:
            try:
                await for_ever()
            except asyncio.CancelledError:
                told("cancelled")

    told = Told()
    worker = serve(application, request_timeout=SHORT, drain_timeout=0.3)
    assert worker.request().status == 504
    worker.drain()
    worker.wait_until_drained()


def test_a_stream_that_goes_on_is_not_ended(serve):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            await send(body(b"tick ", more=True))
            await asyncio.sleep(SHORT / 10)
        await send(body(b"end"))

    worker = serve(application, request_timeout=SHORT)
    assert worker.request().body.endswith(b"tick end")
    assert worker.errors() == []


def test_work_after_the_answer_is_not_ended(serve):
    @http_only
    async def application(scope, receive, send):
        await hello(scope, receive, send)
        await asyncio.sleep(LONG)
        told("finished")

    told = Told()
    worker = serve(application, request_timeout=SHORT)
    assert worker.request().body == b"hello"
    assert told.next() == "finished"


def test_work_after_an_answer_that_nobody_has_waited_for_is_not_ended(serve, monkeypatch):
    monkeypatch.setattr("sdserve.worker.asgi_exchange._GRACE", 0.05)

    @http_only
    async def application(scope, receive, send):
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await hello(scope, receive, send)
        await asyncio.sleep(LONG)
        told("finished")

    told = Told()
    worker = serve(application, request_timeout=SHORT)
    client = worker.connect()
    client.send(REQUEST)
    client.end()
    assert client.response().body == b"hello"
    assert told.next() == "finished"


def test_calls_whose_clients_have_left_are_ended_too(serve):
    @http_only
    async def application(scope, receive, send):
        if scope["path"] == "/begun":
            await send(START)
            await send(body(b"begun", more=True))
        told(scope["path"])
        await for_ever()

    told = Told()
    worker = serve(application, request_timeout=SHORT)
    for _ in range(6):
        clients = [worker.connect() for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(b"GET /begun HTTP/1.1\r\nHost: a\r\n\r\n" if number % 2 else REQUEST)
        for _ in clients:
            told.next()
        for client in clients:
            client.reset()
    worker.wait_for(lambda: not worker.server.gateway.busy)
    assert len(worker.call(lambda: asyncio.all_tasks(worker.loop))) < 10
    assert len(worker.errors()) == 300


def test_who_has_asked_for_the_body_and_does_so_no_more_is_ended(serve):
    @http_only
    async def application(scope, receive, send):
        asking = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        asking.cancel()
        await for_ever()

    client = serve(application, request_timeout=SHORT).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    assert client.head()[0] == 504


def test_a_client_that_takes_its_time_with_its_body_is_not_the_applications_fault(serve):
    @http_only
    async def application(scope, receive, send):
        message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            told(message["body"])
        await hello(scope, receive, send)

    told = Told()
    worker = serve(application, request_timeout=SHORT)
    client = worker.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
    assert told.next() == b"x"
    wait_in_the_loop(worker, LONG)
    client.send(b"y")
    assert client.response().body == b"hello"


def test_a_client_that_reads_slowly_is_not_the_applications_fault(serve):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        for _ in range(8):
            await send(body(bytes(1024 * 1024), more=True))
        await send(body())

    worker = serve(application, request_timeout=SHORT, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    wait_in_the_loop(worker, LONG)
    assert len(client.response().body) == 8 * 1024 * 1024


def test_nobody_pays_for_the_time_in_which_another_held_the_loop(serve):
    @http_only
    async def application(scope, receive, send):
        if scope["path"] == "/hold":
            time.sleep(LONG)
        else:
            told("called")
            await release.wait()
        await hello(scope, receive, send)

    told, release = Told(), asyncio.Event()
    worker = serve(application, request_timeout=SHORT)
    waiting, holding = worker.connect(), worker.connect()
    waiting.send(REQUEST)
    told.next()
    holding.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    assert holding.response().body == b"hello"
    late = worker.connect()
    late.send(REQUEST)
    worker.call(release.set)
    assert late.response().body == b"hello"


def wait_in_the_loop(worker, seconds):
    """Return when the worker has ticked for that long."""
    asyncio.run_coroutine_threadsafe(asyncio.sleep(seconds), worker.loop).result()
