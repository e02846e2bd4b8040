"""WSGI applications, called by a real server on the loop's thread and in a pool: PEP 3333."""

from __future__ import annotations

import sys
import threading
from wsgiref.validate import validator

import pytest

from tests.worker.answers import CHUNKED, PLAIN
from tests.worker.answers import wsgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT


def post(body):
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


# Requests and answers, by the book


@validator
def by_the_book(environ, start_response):
    # The request may hold no more than its body, so what is read behind it is nothing.
    data = environ["wsgi.input"].read(1000) + environ["wsgi.input"].read(1000)
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    if "w" in environ["QUERY_STRING"]:
        write(b"written ")
    return [environ["REQUEST_METHOD"].encode(), b" ", data]


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (b"GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET "),
        (b"GET /a%20b?w HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n", b"written GET "),
        (b"GET /a%20b HTTP/1.0\r\n\r\n", b"GET "),
        (b"HEAD /a%20b HTTP/1.1\r\nHost: a\r\n\r\n", b""),
        (b"POST /a%20b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", b"POST abc"),
        (b"POST /a%20b HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", b"POST "),
        (
            b"PUT /a%20b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"PUT abc",
        ),
        (b"OPTIONS http://b/a%20b?w HTTP/1.1\r\nHost: a\r\n\r\n", b"written OPTIONS "),
    ],
)
def test_the_validator_has_nothing_to_say(serve, threads, request_bytes, body):
    worker = serve(by_the_book, interface="wsgi", threads=threads)
    response = worker.request(request_bytes)
    assert worker.errors() == []
    assert (response.status, response.fields["x-path"], response.body) == (200, "/a b", body)


def test_the_environ_names_both_ends_of_the_connection(serve, threads):
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return hello(environ, start_response)

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.request()
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("127.0.0.1", str(worker.address[1]))
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == (
        "127.0.0.1",
        str(client.socket.getsockname()[1]),
    )
    assert seen["wsgi.multithread"] is (threads > 1)


def test_the_environ_over_a_unix_socket(serve, threads, tmp_path):
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return by_the_book(environ, start_response)

    worker = serve(application, threads=threads, unix=str(tmp_path / "socket"))
    assert worker.request().status == 200
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("localhost", "80")
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("", "")


def test_a_change_to_an_environ_stays_in_its_request(serve, threads):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        seen = str(environ.get("changed"))
        environ["changed"] = environ["SERVER_NAME"] = "yes"
        return [seen.encode()]

    client = serve(application, threads=threads).connect()
    assert [client.request().body for _ in range(3)] == [b"None"] * 3


def generated(*parts):
    """An application whose answer is a generator."""

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        yield from parts

    return application


@pytest.mark.parametrize(
    ("parts", "body"),
    [((), b""), ((b"",), b""), ((b"a",), b"a"), ((b"", b"a", b"", b"b"), b"ab"), ((b"a", b""), b"a")],
)
def test_an_answer_of_parts(serve, threads, parts, body):
    client = serve(generated(*parts), threads=threads).connect()
    assert client.request().body == body
    assert client.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").body == b""
    assert client.request().body == body


@pytest.mark.parametrize("parts", [[], [b""], (), [b"a", b"b"], (b"a", b"b"), {b"ab": 1}])
def test_an_answer_that_is_a_collection(serve, threads, parts):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return parts

    client = serve(application, threads=threads).connect()
    for _ in range(2):
        assert client.request().body == b"".join(parts)


@pytest.mark.parametrize("code", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body(serve, threads, code):
    def application(environ, start_response):
        start_response(code.decode(), [])
        return [b"not allowed here"]

    client = serve(application, threads=threads).connect()
    for _ in range(2):
        response = client.request()
        assert response.status == int(code[:3])
        assert set(response.fields) == {"date", "server"}


def test_what_has_been_written_comes_before_what_is_returned(serve, threads):
    def application(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"first ")
        write(b"")
        write(b"second ")
        return [b"third"]

    client = serve(application, threads=threads).connect()
    for _ in range(2):
        assert client.request().body == b"first second third"


def test_the_head_waits_for_the_first_part(serve, threads):
    """PEP 3333: an iterable may yield nothing yet, and change its mind about the status."""

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b""
        try:
            raise ValueError
        except ValueError:
            start_response("503 Busy", PLAIN, sys.exc_info())
        yield b"busy"

    response = serve(application, threads=threads).request()
    assert (response.status, response.body) == (503, b"busy")


def test_start_response_may_come_with_the_first_part(serve, threads):
    def application(environ, start_response):
        def parts():
            yield b""
            start_response("200 OK", PLAIN)
            yield b"late"

        return parts()

    assert serve(application, threads=threads).request().body == b"late"


def test_a_stream_is_sent_as_it_is_made(serve):
    go_on = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b"first"
        assert go_on.wait(TIMEOUT)
        yield b"second"

    client = serve(application, threads=2).connect()
    client.send(REQUEST)
    client.head()
    assert client.chunk() == b"first"
    go_on.set()
    assert [client.chunk(), client.chunk()] == [b"second", b""]


# Bodies


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, 300_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_complete_before_the_application_sees_it(serve, threads, size, chunked):
    """Above `body_memory` it is in a file, of which nothing is left afterwards."""
    files = []

    def application(environ, start_response):
        body = environ["wsgi.input"]
        files.append(body)
        first = body.read(10)
        rest = body.read()
        assert (environ.get("CONTENT_LENGTH", "0"), body.read(1)) == (str(size), b"")
        start_response("200 OK", PLAIN)
        return [first + rest]

    sent = bytes(range(256)) * (size // 256 + 1)
    sent = sent[:size]
    worker = serve(application, threads=threads, body_memory=1000)
    client = worker.connect()
    if chunked:
        client.send(CHUNKED + (b"%x\r\n%b\r\n" % (size, sent) if size else b"") + b"0\r\n\r\n")
    else:
        client.send(post(sent))
    assert client.response().body == sent
    (body,) = files
    is_file = hasattr(body, "fileno") and size > 1000
    assert is_file is (size > 1000)
    if is_file:
        client.request(post(b""))  # the file is closed after its answer, so ask for another one
        assert body.closed


def test_a_body_that_trickles_in(serve, threads):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return [environ["wsgi.input"].read()]

    worker = serve(application, threads=threads)
    client = worker.connect()
    for cut in (CHUNKED, b"3", b"\r", b"\none\r", b"\n", b"3\r\nt", b"wo\r\n0", b"\r\n\r", b"\n"):
        client.send(cut)
        worker.settle()
    assert client.response().body == b"onetwo"


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_incomplete_body_does_not_reach_the_application(serve, threads, size):
    called = []

    def application(environ, start_response):
        called.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    worker = serve(application, threads=threads, body_memory=1000)
    client = worker.connect()
    client.send(post(bytes(size))[:-1])
    worker.settle()
    client.close()
    assert worker.request().body == b"hello"
    assert called == ["/"]


def test_a_body_that_cannot_be_stored(serve, threads, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    worker = serve(hello, threads=threads, body_memory=10)
    client = worker.connect()
    response = client.request(post(b"more than ten"))
    assert response.status == 507
    assert client.request().body == b"hello"
    assert worker.errors()[0].startswith("a request body cannot be stored: ")


def test_100_continue_is_sent_at_once(serve, threads):
    client = serve(hello, threads=threads).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert client.line() == b"HTTP/1.1 100 Continue\r\n"
    assert client.line() == b"\r\n"
    client.send(b"abc")
    assert client.response().body == b"hello"
