"""ASGI applications that go wrong: what the client gets to see of it, and what the log."""

from __future__ import annotations

import asyncio

import pytest

from sdserve.errors import LocalProtocolError
from tests.worker.answers import START, Told, body, http_only
from tests.worker.answers import asgi_hello as hello
from tests.worker.serving import REQUEST


async def body_first(send):
    await send(body(b"x"))


async def start_twice(send):
    await send(START)
    await send(START)


async def unknown_message(send):
    await send({"type": "http.response.push"})


async def no_type(send):
    await send({})


async def no_status(send):
    await send({"type": "http.response.start"})


async def informational_status(send):
    await send({**START, "status": 103})


async def text_as_status(send):
    await send({**START, "status": "200 OK"})


async def text_as_body(send):
    await send(START)
    await send(body("text"))


async def no_body_at_all(send):
    await send(START)
    await send(body(None))


async def text_as_field_name(send):
    await send({**START, "headers": [("x-text", b"y")]})
    await send(body(b"x"))


async def text_as_field_value(send):
    await send({**START, "headers": [(b"x-text", "y")]})
    await send(body(b"x"))


async def fields_that_are_not_pairs(send):
    await send({**START, "headers": [b"x"]})
    await send(body(b"x"))


async def split_response(send):
    await send({**START, "headers": [(b"x-secret", b"y\r\nset-cookie: evil")]})
    await send(body(b"x"))


async def split_in_a_name(send):
    await send({**START, "headers": [(b"x-secret\r\nset-cookie", b"evil")]})
    await send(body(b"x", more=True))


async def two_lengths(send):
    await send({**START, "headers": [(b"content-length", b"1"), (b"content-length", b"2")]})
    await send(body(b"x"))


async def nothing(send):
    pass


async def start_alone(send):
    await send(START)


async def raises(send):
    raise ValueError("a secret")


async def raises_after_the_start(send):
    await send(START)
    raise ValueError("a secret")


async def exits(send):
    raise SystemExit(3)


async def is_cancelled(send):
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "part",
    [
        body_first,
        start_twice,
        unknown_message,
        no_type,
        no_status,
        informational_status,
        text_as_status,
        text_as_body,
        no_body_at_all,
        text_as_field_name,
        text_as_field_value,
        fields_that_are_not_pairs,
        split_response,
        split_in_a_name,
        two_lengths,
        nothing,
        start_alone,
        raises,
        raises_after_the_start,
        exits,
        is_cancelled,
    ],
)
def test_what_goes_wrong_before_the_first_byte_is_a_500(serve, part):
    @http_only
    async def application(scope, receive, send):
        if scope["path"] == "/well":
            await hello(scope, receive, send)
        else:
            await part(send)

    worker = serve(application)
    client = worker.connect()
    response = client.request(b"GET /ill HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.status == 500
    assert response.body == b"500 Internal Server Error\n"
    assert set(response.fields) == {"content-type", "content-length", "date", "server"}
    # It was the application's fault, not the connection's.
    assert client.request(b"GET /well HTTP/1.1\r\nHost: a\r\n\r\n").body == b"hello"
    (text,) = worker.errors()
    assert text.startswith("GET /ill: the application ")


async def raises_in_the_middle(send):
    await send(body(b"x", more=True))
    raise ValueError


async def never_ends(send):
    await send(body(b"x", more=True))


async def text_in_the_middle(send):
    await send(body(b"x", more=True))
    await send(body("text", more=True))


async def text_at_the_end(send):
    await send(body(b"x", more=True))
    await send(body("text"))


@pytest.mark.parametrize("length", [[], [(b"content-length", b"10")]], ids=["chunked", "content-length"])
@pytest.mark.parametrize("part", [raises_in_the_middle, never_ends, text_in_the_middle, text_at_the_end])
def test_what_goes_wrong_after_the_first_byte_cuts_the_connection(serve, part, length):
    @http_only
    async def application(scope, receive, send):
        await send({**START, "headers": length})
        await part(send)

    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    received = client.rest_of_cut()
    assert b"0\r\n\r\n" not in received
    assert b"text" not in received
    assert len(worker.errors()) == 1


def test_an_application_may_go_on_after_its_own_mistake(serve):
    @http_only
    async def application(scope, receive, send):
        with pytest.raises(LocalProtocolError, match="before http"):
            await send(body(b"too early"))
        await send({**START, "headers": [(b"bad name", b"")]})
        with pytest.raises(LocalProtocolError, match="not a token"):
            await send(body(b"x"))
        with pytest.raises(LocalProtocolError, match="a second http"):
            await send(START)

    assert serve(application).request().status == 500


def test_messages_after_the_response_are_refused(serve):
    @http_only
    async def application(scope, receive, send):
        await hello(scope, receive, send)
        for message in (START, body(b"more")):
            with pytest.raises(LocalProtocolError, match="after the response was complete"):
                await send(message)
        told("refused")

    told = Told()
    worker = serve(application)
    client = worker.connect()
    assert client.request().body == b"hello"
    assert told.next() == "refused"
    assert client.request().body == b"hello"


def test_an_exception_after_the_response_is_logged_and_no_more(serve):
    @http_only
    async def application(scope, receive, send):
        await hello(scope, receive, send)
        raise ValueError

    worker = serve(application)
    client = worker.connect()
    assert client.request().body == b"hello"
    assert client.request().body == b"hello"
    assert worker.errors() == ["GET /: the application raised"] * 2


def test_an_exception_after_the_client_has_left_is_the_usual_way_out(serve):
    @http_only
    async def application(scope, receive, send):
        told("called")
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ValueError

    told = Told()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    told.next()
    client.close()
    assert worker.errors() == []
    assert "GET /: the application raised" in worker.log.texts()
