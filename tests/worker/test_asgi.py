"""ASGI applications, called by a real server: https://asgi.readthedocs.io/en/stable/specs/www.html."""

from __future__ import annotations

import asyncio
import contextvars
import select

import pytest

from tests.worker.answers import CHUNKED, START, Told, body, http_only
from tests.worker.answers import asgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT

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


def test_the_scope_over_ipv6(serve):
    told = Told()

    @http_only
    async def application(scope, receive, send):
        told((scope["client"], scope["server"]))
        await hello(scope, receive, send)

    worker = serve(application, ipv6=True)
    client = worker.connect()
    client.request()
    assert told.next() == (client.socket.getsockname()[:2], worker.address[:2])


@pytest.mark.parametrize(
    ("line", "path", "raw_path", "query", "host"),
    [
        (b"GET /a%20b?c=%20 HTTP/1.1", "/a b", b"/a%20b", b"c=%20", b"a"),
        (b"GET http://b/c?d HTTP/1.1", "/c", b"/c", b"d", b"b"),
        (b"GET http://b HTTP/1.1", "/", b"/", b"", b"b"),
        (b"OPTIONS * HTTP/1.1", "*", b"*", b"", b"a"),
    ],
)
def test_the_scope_of_each_form_of_a_target(serve, line, path, raw_path, query, host):
    told = Told()

    @http_only
    async def application(scope, receive, send):
        told((scope["path"], scope["raw_path"], scope["query_string"], scope["headers"]))
        await hello(scope, receive, send)

    fields = b"Host: a\r\nX-Tag: 1\r\nx-other: 2\r\nX-TAG: 3"
    serve(application).request(line + b"\r\n" + fields + b"\r\n\r\n")
    *target, headers = told.next()
    assert target == [path, raw_path, query]
    assert dict(headers)[b"host"] == host
    # Lower case, with duplicates, in order.
    assert [field for field in headers if field[0] != b"host"] == [
        (b"x-tag", b"1"),
        (b"x-other", b"2"),
        (b"x-tag", b"3"),
    ]


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
