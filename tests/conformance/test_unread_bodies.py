"""A body that the application does not read must never become the next request."""

from __future__ import annotations

from contextlib import suppress

import pytest

from sdserve.core.gateway.interface import ASGI, WSGI
from tests.worker.serving import Worker

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST /1 HTTP/1.1\r\nHost: a\r\n"
LARGE = 4 * 1024 * 1024


class Careless:
    """An application that answers at once and never looks at a body."""

    def __init__(self):
        self.paths = []

    def wsgi(self, environ, start_response):
        self.paths.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    async def asgi(self, scope, receive, send):
        assert scope["type"] == "http"
        self.paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def application():
    return Careless()


@pytest.fixture(params=[WSGI, ASGI])
def client(request, application):
    interface = request.param
    called = application.wsgi if interface == WSGI else application.asgi
    worker = Worker(called, loop_kind="uvloop", interface=interface)
    worker.start()
    yield worker.connect()
    worker.stop()


def chunked(body):
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def of_length(body):
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("framed", [chunked, of_length])
def test_a_small_one_is_thrown_away(client, application, framed):
    client.send(HEAD + framed(SMUGGLED) + NEXT)
    assert [client.response().body for _ in range(2)] == [b"ok", b"ok"]
    assert application.paths == ["/1", "/next"]


@pytest.mark.parametrize("framed", [chunked, of_length])
def test_one_that_comes_after_the_answer_is_thrown_away(client, application, framed):
    request = HEAD + framed(SMUGGLED)
    client.send(request[:-20])
    client.send(request[-20:] + NEXT)
    assert [client.response().body for _ in range(2)] == [b"ok", b"ok"]
    assert application.paths == ["/1", "/next"]


@pytest.mark.parametrize("framed", [chunked, of_length])
def test_of_a_large_one_nothing_is_taken_for_a_request(client, application, framed):
    """Answered or cut: what must not be is a request made of its bytes."""
    body = SMUGGLED * (LARGE // len(SMUGGLED))
    with suppress(OSError):
        client.send(HEAD + framed(body) + NEXT)
        assert client.response().body == b"ok"
        client.end()
    client.rest_of_cut()
    assert application.paths in (["/1"], ["/1", "/next"])


def test_an_answer_without_100_ends_the_connection(client, application):
    """The body may come or not, so what comes next cannot be told apart (RFC 9110 section 10.1.1)."""
    client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED))
    status, fields = client.head()
    if status == 100:
        # WSGI wants the whole body before it calls the application.
        client.send(SMUGGLED + NEXT)
        assert [client.response().body for _ in range(2)] == [b"ok", b"ok"]
        assert application.paths == ["/1", "/next"]
        return
    assert (status, fields["connection"]) == (200, "close")
    assert client.read(2) == b"ok"
    client.send(SMUGGLED)
    assert client.rest() == b""
    assert application.paths == ["/1"]
