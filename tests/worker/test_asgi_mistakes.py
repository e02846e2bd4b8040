"""ASGI applications that go wrong: what the client gets to see of it, and what the log."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sdserve.errors import LocalProtocolError
from tests.worker.answers import START, Told, body, http_only
from tests.worker.answers import asgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT


async def body_first(send):
    await send(body(b"x"))


async def start_twice(send):
    await send(START)
    await send(START)


async def unknown_message(send):
    await send({"type": "http.response.push"})


async def no_message(send):
    await send(None)


async def text_as_message(send):
    await send("http.response.start")


async def no_text_as_type(send):
    await send({"type": 1})


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


async def fields_in_a_dict(send):
    await send({**START, "headers": {b"x": b"y"}})
    await send(body(b"x"))


async def no_fields(send):
    await send({**START, "headers": None})
    await send(body(b"x"))


async def text_as_link(send):
    await send({"type": "http.response.early_hint", "links": ["</x>"]})


async def bytes_as_path(send):
    await send(START)
    await send({"type": "http.response.pathsend", "path": b"/x"})


async def no_path(send):
    await send(START)
    await send({"type": "http.response.pathsend"})


async def path_first(send):
    await send({"type": "http.response.pathsend", "path": "/x"})


async def no_file(send):
    await send(START)
    await send({"type": "http.response.zerocopysend"})


async def swallowed(send):
    await send(START)
    with contextlib.suppress(Exception):
        await send(body("text"))


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


async def is_interrupted(send):
    raise KeyboardInterrupt


async def raises_a_group(send):
    raise BaseExceptionGroup("several", [ValueError("a secret"), SystemExit(3)])


async def ends_as_a_generator(send):
    raise GeneratorExit


async def is_cancelled(send):
    raise asyncio.CancelledError


NO_ANSWER = "returned without a complete response"
RAISED = "raised"


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (body_first, "sent http.response.body before http.response.start"),
        (start_twice, "sent a second http.response.start"),
        (unknown_message, "sent a message that an HTTP response does not have: 'http.response.push'"),
        (no_message, "sent a message that is no dict but NoneType"),
        (text_as_message, "sent a message that is no dict but str"),
        (no_type, "sent a message without a type"),
        (no_text_as_type, "sent a message that an HTTP response does not have: 1"),
        (no_status, "sent http.response.start with no status"),
        (informational_status, "sent 103, which is not a final status"),
        (text_as_status, "sent http.response.start with a status that is no int but str: '200 OK'"),
        (text_as_body, "sent a body that is not bytes but str"),
        (no_body_at_all, "sent a body that is not bytes but NoneType"),
        (
            text_as_field_name,
            "sent http.response.start with headers of which one has no bytes but str: 'x-text'",
        ),
        (text_as_field_value, "sent http.response.start with headers of which one has no bytes but str: 'y'"),
        (
            fields_that_are_not_pairs,
            "sent http.response.start with headers of which one is no pair of bytes but b'x'",
        ),
        (fields_in_a_dict, "sent http.response.start with headers that are no list of pairs but dict"),
        (no_fields, "sent http.response.start with headers that are no list of pairs but NoneType"),
        (split_response, "sent a control character in a header or in the status"),
        (
            split_in_a_name,
            "sent a field name that is not a token: b'x-secret\\r\\nset-cookie'",
        ),
        (two_lengths, "sent a bad or second Content-Length: b'2'"),
        (text_as_link, "sent http.response.early_hint with a link that is no bytes but str"),
        (bytes_as_path, "sent http.response.pathsend with a path that is no str but bytes"),
        (no_path, "sent http.response.pathsend with no path"),
        (path_first, "sent http.response.pathsend before http.response.start"),
        (no_file, "sent http.response.zerocopysend with no file"),
        (swallowed, "sent a body that is not bytes but str"),
        (nothing, NO_ANSWER),
        (start_alone, NO_ANSWER),
        (raises, RAISED),
        (raises_after_the_start, RAISED),
        (raises_a_group, RAISED),
        (exits, RAISED),
        (is_interrupted, RAISED),
        (is_cancelled, RAISED),
        (ends_as_a_generator, RAISED),
    ],
)
def test_what_goes_wrong_before_the_first_byte_is_a_500(serve, part, what):
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
    assert worker.errors() == [f"GET /ill: the application {what}"]


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


def test_a_mistake_that_is_swallowed_is_told_though_the_answer_is_well(serve):
    @http_only
    async def application(scope, receive, send):
        with contextlib.suppress(Exception):
            await send({"type": "http.response.push"})
        with contextlib.suppress(Exception):
            await send({})
        await hello(scope, receive, send)

    worker = serve(application)
    assert worker.request().body == b"hello"
    # Only the first: the others may follow from it.
    assert worker.errors() == [
        "GET /: the application sent a message that an HTTP response does not have: 'http.response.push'"
    ]


def test_what_is_sent_after_the_return_is_told_once_and_harms_nobody(serve):
    @http_only
    async def application(scope, receive, send):
        left.append((receive, send))
        await hello(scope, receive, send)

    async def use():
        receive, send = left[0]
        for message in (START, body(b"late")):
            with pytest.raises(LocalProtocolError, match="after the response was complete"):
                await send(message)
        return await receive()

    left = []
    worker = serve(application)
    client = worker.connect()
    assert client.request().body == b"hello"
    using = asyncio.run_coroutine_threadsafe(use(), worker.loop)
    assert using.result(TIMEOUT) == {"type": "http.disconnect"}
    assert client.request().body == b"hello"
    assert worker.errors() == [
        "GET /: the application sent http.response.start after the response was complete"
    ]


def test_a_call_that_has_returned_without_an_answer_cannot_answer_any_more(serve):
    @http_only
    async def application(scope, receive, send):
        left.append(send)

    async def use():
        with pytest.raises(LocalProtocolError, match="after the response was complete"):
            await left[0](START)

    left = []
    worker = serve(application)
    assert worker.request().status == 500
    asyncio.run_coroutine_threadsafe(use(), worker.loop).result(TIMEOUT)
    assert len(worker.errors()) == 2


@pytest.mark.parametrize(
    ("application", "reason"),
    [
        (lambda scope, receive, send: None, "object NoneType can't be used in 'await' expression"),
        (lambda environ, start_response: [], "takes 2 positional arguments but 3 were given"),
    ],
)
def test_what_is_no_asgi_application_is_told_in_one_line(serve, application, reason):
    worker = serve(application, interface="asgi")
    assert worker.request().status == 500
    (text,) = worker.errors()
    assert text.startswith("GET /: the application is none of ASGI 3: ")
    assert reason in text
    assert all(record.exc_info is None for record in worker.log.records if record.levelname == "ERROR")


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
