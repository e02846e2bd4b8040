"""What a WSGI application may say besides its answer, and what it may not: both ways of calling it."""

from __future__ import annotations

import threading

import pytest

from tests.worker.answers import CHUNKED, PLAIN, Parts, Told
from tests.worker.answers import wsgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT

LINK = ("Link", "</style.css>; rel=preload; as=style")
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"


# wsgi.early_hints


def test_hints_are_sent_before_the_response(serve, threads):
    seen = threading.Event()

    def application(environ, start_response):
        environ["wsgi.early_hints"]([LINK])
        environ["wsgi.early_hints"]([LINK])
        start_response("200 OK", PLAIN)
        yield b""
        environ["wsgi.early_hints"]([LINK])
        yield b"hello"
        environ["wsgi.early_hints"]([LINK])  # too late: nothing happens
        seen.set()

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(2):
        client.send(REQUEST)
        assert client.read(3 * len(HINTS)) == 3 * HINTS
        assert client.response().body == b"hello"
    assert seen.is_set()
    assert worker.errors() == []


def test_hints_are_nothing_to_http_1_0(serve, threads):
    def application(environ, start_response):
        environ["wsgi.early_hints"]([LINK])
        return hello(environ, start_response)

    worker = serve(application, threads=threads)
    assert worker.request(b"GET / HTTP/1.0\r\n\r\n").body == b"hello"
    assert worker.errors() == []


@pytest.mark.parametrize(
    "hint",
    [("Link", "a\r\nX: y"), ("Li nk", "a"), ("Content-Length", "1"), ("Upgrade", "x"), ("Link", b"a"), 1],
)
def test_a_bad_hint_is_raised_and_nothing_of_it_is_sent(serve, threads, hint):
    told = Told()

    def application(environ, start_response):
        try:
            environ["wsgi.early_hints"]([LINK, hint])
        except Exception as error:
            told(str(error))
        return hello(environ, start_response)

    worker = serve(application, threads=threads)
    assert worker.request().body == b"hello"
    assert told.next().startswith("the application sent ")
    assert worker.errors() == []


def test_hints_to_a_client_that_has_left(serve):
    go_on, called, ended = threading.Event(), Told(), Told()

    def application(environ, start_response):
        called(True)
        assert go_on.wait(TIMEOUT)
        environ["wsgi.early_hints"]([LINK])
        ended(True)
        return hello(environ, start_response)

    worker = serve(application, threads=2)
    client = worker.connect()
    client.send(REQUEST)
    assert called.next()
    client.reset()
    worker.wait_for(lambda: not worker.server._protocols)
    go_on.set()
    assert ended.next()
    assert worker.errors() == []


# Hop-by-hop fields


@pytest.mark.parametrize(
    "field",
    [("Transfer-Encoding", "chunked"), ("Upgrade", "h2c"), ("Connection", "upgrade"), ("Trailer", "X")],
)
def test_a_field_of_the_connections_is_a_500(serve, threads, field):
    result = Parts([b"x"])

    def application(environ, start_response):
        start_response("200 OK", [field])
        return result

    worker = serve(application, threads=threads)
    response = worker.request()
    assert (response.status, set(response.fields)) == (
        500,
        {"content-type", "content-length", "date", "server"},
    )
    assert worker.errors() == ["GET /: the application raised"]
    (record,) = [record for record in worker.log.records if record.exc_info]
    assert field[0] in str(record.exc_info[1])


def test_an_application_that_swallows_the_refusal_has_not_started(serve, threads):
    """Nothing of what was refused is kept."""

    def application(environ, start_response):
        try:
            start_response("200 OK", [("Transfer-Encoding", "chunked")])
        except Exception:
            if environ["PATH_INFO"] == "/again":
                start_response("404 Not Found", PLAIN)
        return [b"x"]

    worker = serve(application, threads=threads)
    client = worker.connect()
    assert client.request().status == 500
    response = client.request(REQUEST.replace(b"/", b"/again", 1))
    assert (response.status, response.body) == (404, b"x")


@pytest.mark.parametrize(("value", "over"), [("close", True), ("Keep-Alive", False)])
def test_connection_close_is_honoured_and_keep_alive_goes_without_saying(serve, threads, value, over):
    def application(environ, start_response):
        start_response("200 OK", [("Connection", value)])
        return [b"x"]

    worker = serve(application, threads=threads)
    client = worker.connect()
    response = client.request()
    assert response.body == b"x"
    assert response.fields.get("connection") == ("close" if over else None)
    if over:
        assert client.is_over()
    else:
        assert client.request().body == b"x"
    assert worker.errors() == []


# Bodies that are cut short

BROKEN = {
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123456789",
    "chunk": CHUNKED + b"a\r\n123456789",
    "between-chunks": CHUNKED + b"9\r\n123456789\r\n",
    "last-chunk": CHUNKED + b"9\r\n123456789\r\n0\r\n",
    "large": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(99_999),
}


@pytest.mark.parametrize("leave", ["end", "close", "reset"])
@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_a_body_that_is_cut_short_does_not_reach_the_application(serve, threads, sent, leave):
    called = []

    def application(environ, start_response):
        called.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    worker = serve(application, threads=threads, body_memory=1000)
    client = worker.connect()
    client.send(sent)
    (protocol,) = worker.wait_for(lambda: list(worker.server._protocols))
    (spool,) = worker.wait_for(lambda: [protocol.exchange._spool] if protocol.exchange else [])
    worker.wait_for(lambda: spool.size)
    getattr(client, leave)()
    if leave == "end":
        assert client.is_over()
    assert worker.request(REQUEST.replace(b"/", b"/well", 1)).body == b"hello"
    assert called == ["/well"]
    assert spool._file is None or spool._file.closed
    assert worker.errors() == []


# close()


def test_close_is_called_where_the_head_is_refused(serve, threads):
    results = []

    def application(environ, start_response):
        start_response("200 OK", [("X", "a\nb")])
        results.append(Parts([b"x", b"y"]))
        return results[-1]

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(6):
        assert client.request().status == 500
    assert all(result.was_closed_once() for result in results)
    assert len(results) == 6


def test_close_that_cannot_be_looked_up_is_logged_and_no_more(serve, threads):
    class Result:
        def __iter__(self):
            return iter([b"x"])

        @property
        def close(self):
            raise ValueError

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return Result()

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(6):
        assert client.request().body == b"x"
    assert worker.errors() == ["GET /: close() of the application's iterable raised"] * 6
