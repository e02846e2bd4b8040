"""ASGI applications whose clients leave, or only have nothing more to send."""

from __future__ import annotations

import asyncio
import contextlib

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
