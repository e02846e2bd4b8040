"""ASGI applications whose clients leave, or only have nothing more to send."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from tests.worker.answers import START, Told, body, http_only
from tests.worker.answers import asgi_hello as hello
from tests.worker.serving import REQUEST


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr("sdserve.worker.asgi_exchange._GRACE", 0.05)


def test_a_client_that_leaves_while_it_is_waited_for(serve):
    @http_only
    async def application(scope, receive, send):
        told((await receive())["type"])
        told((await receive())["type"])

    told = Told()
    client = serve(application).connect()
    client.send(REQUEST)
    assert told.next() == "http.request"
    client.close()
    assert told.next() == "http.disconnect"


def test_a_client_that_leaves_in_the_middle_of_its_body(serve):
    @http_only
    async def application(scope, receive, send):
        told((await receive())["body"])
        told((await receive())["type"])

    told = Told()
    client = serve(application).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
    assert told.next() == b"one"
    client.close()
    assert told.next() == "http.disconnect"


def cancelled_on_disconnect(told, ready):
    """An application that gives up when it is told of a disconnect, as Django and Quart do."""

    @http_only
    async def application(scope, receive, send):
        await receive()
        leaving = asyncio.ensure_future(receive())
        working = asyncio.ensure_future(ready.wait())
        await asyncio.wait([leaving, working], return_when=asyncio.FIRST_COMPLETED)
        told("left" if leaving.done() else "ready")
        leaving.cancel()
        working.cancel()
        await hello(scope, receive, send)

    return application


def test_a_client_that_sends_no_more_gets_an_answer_that_is_nearly_there(serve):
    told, ready = Told(), asyncio.Event()
    worker = serve(cancelled_on_disconnect(told, ready))
    client = worker.connect()
    client.send(REQUEST)
    client.end()
    worker.settle()
    worker.call(ready.set)
    assert told.next() == "ready"
    response = client.response()
    assert (response.body, response.fields["connection"]) == (b"hello", "close")
    assert client.is_over()


def test_an_application_learns_in_the_end_that_a_client_sends_no_more(serve, short_grace):
    told = Told()
    client = serve(cancelled_on_disconnect(told, asyncio.Event())).connect()
    client.send(REQUEST)
    client.end()
    assert told.next() == "left"
    assert client.response().body == b"hello"  # it may still be listening


def test_a_client_that_left_is_found_out_by_writing_to_it(serve):
    @http_only
    async def application(scope, receive, send):
        await receive()
        await send(START)
        await send(body(b"x", more=True))
        told("sent")
        leaving = asyncio.ensure_future(receive())
        while not leaving.done():
            with contextlib.suppress(OSError):
                await send(body(b"x", more=True))
            await asyncio.sleep(0)
        told(leaving.result()["type"])

    told = Told()
    client = serve(application).connect()
    client.send(REQUEST)
    assert told.next() == "sent"
    client.close()
    assert told.next() == "http.disconnect"


def test_what_an_application_does_to_a_message_harms_no_other(serve):
    @http_only
    async def application(scope, receive, send):
        await hello(scope, receive, send)
        message = await receive()
        told(dict(message))
        message["type"] = "changed"

    told = Told()
    client = serve(application).connect()
    assert client.request().body == b"hello"
    assert client.request().body == b"hello"
    assert [told.next(), told.next()] == [{"type": "http.disconnect"}] * 2


def test_send_raises_oserror_once_the_client_is_gone(serve):
    @http_only
    async def application(scope, receive, send):
        async def send_for_ever():
            while True:
                await send(body(b"x" * 65536, more=True))

        await send(START)
        with pytest.raises(OSError, match="disconnected"):
            await send_for_ever()
        told("raised")
        while (await receive())["type"] != "http.disconnect":
            pass
        for message in (body(b"x", more=True), body(), START, {"type": "http.response.pathsend"}):
            with pytest.raises(OSError, match="disconnected"):
                await send(message)
        told("raised")

    told = Told()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    client.close()
    assert [told.next(), told.next()] == ["raised", "raised"]
    assert worker.errors() == []


def test_asking_again_and_again_whether_the_client_has_left_costs_no_memory(serve):
    """As Starlette's `is_disconnected` does on a stream of events."""

    @http_only
    async def application(scope, receive, send):
        async def ask(times):
            for _ in range(times):
                asking = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
            return len(gc.get_objects())

        await receive()
        told(await ask(100))
        told(await ask(10_000))
        await hello(scope, receive, send)

    told = Told()
    assert serve(application).request().body == b"hello"
    before, after = told.next(), told.next()
    assert after < before + 1000


def test_who_asks_no_more_takes_nothing_from_who_still_does(serve):
    @http_only
    async def application(scope, receive, send):
        await receive()
        first, second, third = (asyncio.ensure_future(receive()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        told("asked")
        told([message["type"] for message in await asyncio.gather(first, third)])

    told = Told()
    client = serve(application).connect()
    client.send(REQUEST)
    assert told.next() == "asked"
    client.reset()
    assert told.next() == ["http.disconnect"] * 2


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /poll HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000),
        REQUEST + b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["a body that fills the buffer", "a pipelined request"],
)
def test_a_reset_is_noticed_behind_whatever_was_sent(serve, sent):
    release = asyncio.Event()

    @http_only
    async def application(scope, receive, send):
        if scope["path"] == "/":
            await hello(scope, receive, send)
            return
        told("called")
        await release.wait()
        while (await receive()).get("more_body"):
            pass
        told("all read")
        told((await receive())["type"])

    told = Told()
    worker = serve(application)
    client = worker.connect()
    worker.settle()
    worker.call(client.send, sent)
    assert told.next() == "called"
    worker.wait_for(lambda: [it for it in worker.server._protocols if it.connection.answering])
    worker.call(release.set)
    assert told.next() == "all read"
    client.reset()
    assert told.next() == "http.disconnect"
