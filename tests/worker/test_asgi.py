"""ASGI applications, called by a real server: https://asgi.readthedocs.io/en/stable/specs/www.html."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import select

import pytest

from sdserve.errors import LocalProtocolError
from tests.worker.serving import REQUEST, TIMEOUT

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def hello(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send(START)
    await send(body(b"hello"))


class Told:
    """What an application tells the test, in order; `next` waits for it."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def __call__(self, value):
        self._queue.put(value)

    def next(self):
        return self._queue.get(timeout=TIMEOUT)


def http_only(application):
    """The application without a lifespan."""

    async def wrapped(scope, receive, send):
        assert scope["type"] == "http"
        await application(scope, receive, send)

    return wrapped


# Requests


def test_a_request_and_its_answer(serve):
    response = serve(hello).request()
    assert response.status == 200
    assert response.fields["content-type"] == "text/plain"
    assert response.fields["content-length"] == "5"
    assert response.fields["server"] == "sdserve"
    assert response.fields["date"].endswith(" GMT")
    assert response.body == b"hello"


def test_the_scope_names_both_ends_of_the_connection(serve):
    told = Told()

    @http_only
    async def application(scope, receive, send):
        told((scope["client"], scope["server"]))
        await hello(scope, receive, send)

    worker = serve(application)
    client = worker.connect()
    client.request()
    assert told.next() == (client.socket.getsockname(), worker.address)


def test_the_scope_over_a_unix_socket(serve, tmp_path):
    told = Told()

    @http_only
    async def application(scope, receive, send):
        told((scope["client"], scope["server"]))
        await hello(scope, receive, send)

    path = str(tmp_path / "socket")
    assert serve(application, unix=path).request().body == b"hello"
    assert told.next() == (None, (path, None))


def receiving(told):
    """An application that tells each message of the request, and answers when it is complete."""

    @http_only
    async def application(scope, receive, send):
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            told(message)
        await hello(scope, receive, send)

    return application


def piece(data, more):
    return {"type": "http.request", "body": data, "more_body": more}


def test_a_request_without_a_body(serve):
    told = Told()
    assert serve(receiving(told)).request().body == b"hello"
    assert told.next() == piece(b"", False)


def test_a_body_comes_in_the_pieces_it_arrives_in(serve):
    told = Told()
    client = serve(receiving(told)).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
    assert told.next() == piece(b"one", True)
    client.send(b"two")
    assert told.next() == piece(b"two", True)
    client.send(b"end")
    assert told.next() == piece(b"end", False)
    assert client.response().body == b"hello"


def test_a_body_whose_end_comes_alone(serve):
    told = Told()
    client = serve(receiving(told)).connect()
    client.send(CHUNKED + b"3\r\none\r\n")
    assert told.next() == piece(b"one", True)
    client.send(b"0\r\n\r\n")
    assert told.next() == piece(b"", False)
    assert client.response().body == b"hello"


@pytest.mark.parametrize("parser", ["strict", "h11"])
def test_chunks_that_are_cut_where_no_payload_is(serve, parser):
    told = Told()
    worker = serve(receiving(told), parser=parser)
    client = worker.connect()
    client.send(CHUNKED + b"3\r\none\r\n")
    assert told.next() == piece(b"one", True)
    for cut in (b"3", b"\r", b"\nt", b"w", b"o", b"\r", b"\n", b"0", b"\r\n", b"\r", b"\n"):
        client.send(cut)
        worker.settle()
    assert client.response().body == b"hello"
    received = b""
    while (message := told.next())["more_body"]:
        received += message["body"]
    assert received + message["body"] == b"two"


def test_whoever_waits_in_receive_learns_of_the_end_of_the_response(serve):

    @http_only
    async def application(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        waiting = [asyncio.ensure_future(receive()) for _ in range(2)]
        await asyncio.sleep(0)
        await send(START)
        await send(body(b"done"))
        told([(await future)["type"] for future in waiting])

    told = Told()
    assert serve(application).request().body == b"done"
    assert told.next() == ["http.disconnect"] * 2


def test_receive_after_the_response_gives_a_disconnect(serve):
    @http_only
    async def application(scope, receive, send):
        await hello(scope, receive, send)
        told([(await receive())["type"], (await receive())["type"]])

    told = Told()
    assert serve(application).request().body == b"hello"
    assert told.next() == ["http.disconnect"] * 2


# The client leaves


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


def test_a_client_that_sends_no_more_still_gets_its_answer(serve):
    @http_only
    async def application(scope, receive, send):
        told(await receive())
        told(await receive())
        await hello(scope, receive, send)

    told = Told()
    client = serve(application).connect()
    client.send(REQUEST)
    client.end()
    assert told.next() == piece(b"", False)
    assert told.next() == {"type": "http.disconnect"}
    response = client.response()
    assert (response.body, response.fields["connection"]) == (b"hello", "close")
    assert client.is_over()


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
        for message in (body(b"x", more=True), body(), START):
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


# Applications that go wrong


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


# Time and order


def test_work_after_the_response_does_not_hold_the_connection(serve):
    finish = asyncio.Event()

    @http_only
    async def application(scope, receive, send):
        await hello(scope, receive, send)
        if scope["path"] == "/first":
            await finish.wait()
            told("finished")

    told = Told()
    worker = serve(application)
    client = worker.connect()
    assert client.request(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n").body == b"hello"
    assert client.request().body == b"hello"
    worker.call(finish.set)
    assert told.next() == "finished"


def test_pipelined_requests_are_answered_in_order_one_at_a_time(serve):
    open_now = []

    @http_only
    async def application(scope, receive, send):
        open_now.append(scope["path"])
        assert len(open_now) == 1
        await send(START)
        for _ in range(3):
            await asyncio.sleep(0)
            await send(body(scope["path"].encode(), more=True))
        open_now.remove(scope["path"])
        await send(body())

    client = serve(application).connect()
    names = [b"/%d" % number for number in range(40)]
    client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % name for name in names))
    client.end()
    for name in names:
        assert client.response().body == name * 3
    assert client.is_over()


def test_context_variables_do_not_pass_from_one_request_to_the_next(serve):
    variable = contextvars.ContextVar("variable", default="")

    @http_only
    async def application(scope, receive, send):
        seen = variable.get()
        variable.set("set by an earlier request")
        while (await receive()).get("more_body"):
            pass
        await send(START)
        await send(body(seen.encode()))

    client = serve(application).connect()
    client.send(REQUEST * 2)
    assert [client.response().body, client.response().body] == [b"", b""]
    client.send(CHUNKED)
    client.send(b"1\r\nx\r\n0\r\n\r\n" + REQUEST)
    assert [client.response().body, client.response().body] == [b"", b""]
    assert client.request().body == b""


# Back-pressure


def test_send_waits_for_a_client_that_does_not_read(serve):
    part = b"x" * 65536

    @http_only
    async def application(scope, receive, send):
        await send(START)
        sent = 0
        while True:
            sending = asyncio.ensure_future(send(body(part, more=True)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sent += 1
            if not sending.done():
                break
        told(sent)
        await sending
        await send(body())

    told = Told()
    client = serve(application, send_buffer=65536).connect(receive_buffer=4096)
    client.send(REQUEST)
    sent = told.next()
    assert sent * len(part) < 1024 * 1024
    assert len(client.response().body) == sent * len(part)


def test_a_body_that_nobody_receives_is_not_read(serve):
    go_on = asyncio.Event()
    size = 16 * 1024 * 1024

    @http_only
    async def application(scope, receive, send):
        await go_on.wait()
        received = 0
        message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            received += len(message["body"])
        await send(START)
        await send(body(b"%d" % received))

    worker = serve(application)
    client = worker.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    client.socket.setblocking(False)
    sent = 0
    while select.select([], [client.socket], [], 0.2)[1] and sent < size:
        sent += client.socket.send(bytes(min(65536, size - sent)))
    assert sent < size
    worker.call(go_on.set)
    client.socket.settimeout(TIMEOUT)
    client.send(bytes(size - sent))
    assert client.response().body == b"%d" % size


def test_an_application_that_takes_its_time_with_a_body_is_not_the_clients_fault(serve):
    size = 1024 * 1024

    @http_only
    async def application(scope, receive, send):
        await asyncio.sleep(0.4)  # many ticks, and longer than the deadline
        received = 0
        message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            received += len(message["body"])
        await send(START)
        await send(body(b"%d" % received))

    client = serve(application, body_timeout=0.1).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    assert client.response().body == b"%d" % size


# 100 (Continue)

EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"


def test_100_continue_is_sent_when_the_body_is_asked_for(serve):
    told = Told()
    client = serve(receiving(told)).connect()
    client.send(EXPECTING)
    assert client.line() == b"HTTP/1.1 100 Continue\r\n"
    assert client.line() == b"\r\n"
    client.send(b"abc")
    assert client.response().body == b"hello"
    assert told.next() == piece(b"abc", False)


def test_a_final_answer_instead_of_100_continue_closes(serve):
    client = serve(http_only(hello)).connect()
    response = client.request(EXPECTING)
    assert (response.status, response.fields["connection"]) == (200, "close")
    client.end()
    assert client.is_over()


def test_an_application_may_take_its_time_to_ask_for_the_body(serve):
    @http_only
    async def application(scope, receive, send):
        await asyncio.sleep(0.4)
        await receiving(Told())(scope, receive, send)

    client = serve(application, body_timeout=0.1).connect()
    client.send(EXPECTING)
    assert client.line() == b"HTTP/1.1 100 Continue\r\n"
    assert client.line() == b"\r\n"
    client.send(b"abc")
    assert client.response().body == b"hello"
