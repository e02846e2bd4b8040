"""WSGI applications that go wrong: what the client gets to see of it, and what the log."""

from __future__ import annotations

import queue
import sys
import threading

import pytest

from tests.worker.answers import PLAIN, Parts
from tests.worker.answers import wsgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT


def raises(start_response):
    raise ValueError("a secret")


def raises_after_start_response(start_response):
    start_response("200 OK", PLAIN)
    raise ValueError("a secret")


def raises_in_its_first_part(start_response):
    start_response("200 OK", PLAIN)
    yield b""
    raise ValueError("a secret")


def exits(start_response):
    sys.exit("a secret")


def exits_in_its_first_part(start_response):
    start_response("200 OK", PLAIN)
    yield b""
    sys.exit("a secret")


def does_not_start(start_response):
    return [b"x"]


def does_not_start_its_parts(start_response):
    return iter([b"x", b"y"])


def does_not_start_and_has_nothing(start_response):
    return []


def returns_none(start_response):
    start_response("200 OK", PLAIN)


def starts_twice(start_response):
    start_response("200 OK", PLAIN)
    start_response("200 OK", PLAIN)


def returns_text(start_response):
    start_response("200 OK", PLAIN)
    return ["text"]


def returns_parts_of_text(start_response):
    start_response("200 OK", PLAIN)
    return iter(["text", "text"])


def writes_text(start_response):
    start_response("200 OK", PLAIN)("text")
    return []


def returns_a_text(start_response):
    start_response("200 OK", PLAIN)
    return "text"


def returns_numbers(start_response):
    start_response("200 OK", PLAIN)
    return [1, 2]


def status(value):
    def part(start_response):
        start_response(value, PLAIN)
        return [b"x"]

    return part


def fields(*value):
    def part(start_response):
        start_response("200 OK", list(value))
        return [b"x"]

    return part


@pytest.mark.parametrize(
    "part",
    [
        raises,
        raises_after_start_response,
        raises_in_its_first_part,
        exits,
        exits_in_its_first_part,
        does_not_start,
        does_not_start_its_parts,
        does_not_start_and_has_nothing,
        returns_none,
        starts_twice,
        returns_text,
        returns_parts_of_text,
        writes_text,
        returns_a_text,
        returns_numbers,
        *(
            pytest.param(status(value), id=f"status-{value!r}")
            for value in (
                "OK",
                "2000 OK",
                "099 x",
                200,
                b"200 OK",
                "200 OK\r\nX: y",
                "200 \u20ac",
                ["200 OK"],
                None,
            )
        ),
        pytest.param(fields(("X", "a\r\nSet-Cookie: evil")), id="crlf-in-value"),
        pytest.param(fields(("X", "a\nSet-Cookie: evil")), id="lf-in-value"),
        pytest.param(fields(("X", "a\0")), id="nul-in-value"),
        pytest.param(fields(("X: a\r\nSet-Cookie", "evil")), id="crlf-in-name"),
        pytest.param(fields(("X Y", "a")), id="space-in-name"),
        pytest.param(fields(("", "a")), id="empty-name"),
        pytest.param(fields(("X", "\u20ac")), id="beyond-latin-1"),
        pytest.param(fields((b"X", b"a")), id="bytes"),
        pytest.param(fields(("X", None)), id="none"),
        pytest.param(fields(("X", "a", "b")), id="three-of-a-pair"),
        pytest.param(fields(("Content-Length", "1"), ("content-length", "1")), id="two-lengths"),
        pytest.param(fields(("Content-Length", "-1")), id="negative-length"),
    ],
)
def test_what_goes_wrong_before_the_first_byte_is_a_500(serve, threads, part):
    def application(environ, start_response):
        return hello(environ, start_response) if environ["PATH_INFO"] == "/well" else part(start_response)

    worker = serve(application, threads=threads)
    client = worker.connect()
    # Often enough that a pool would have lost all its threads.
    for _ in range(6):
        response = client.request(b"GET /ill HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
        assert set(response.fields) == {"content-type", "content-length", "date", "server"}
    assert client.request(b"GET /well HTTP/1.1\r\nHost: a\r\n\r\n").body == b"hello"
    assert worker.errors() == ["GET /ill: the application raised"] * 6


def raises_in_the_middle():
    yield b"x"
    raise ValueError


def exits_in_the_middle():
    yield b"x"
    sys.exit()


def text_in_the_middle():
    yield b"x"
    yield "text"


@pytest.mark.parametrize("length", [[], [("Content-Length", "10")]], ids=["chunked", "content-length"])
@pytest.mark.parametrize("parts", [raises_in_the_middle, exits_in_the_middle, text_in_the_middle])
def test_what_goes_wrong_after_the_first_byte_cuts_the_connection(serve, threads, parts, length):
    results = []

    def application(environ, start_response):
        start_response("200 OK", length)
        results.append(Parts(parts()))
        return results[-1]

    worker = serve(application, threads=threads)
    for _ in range(6):
        client = worker.connect()
        client.send(REQUEST)
        received = client.rest_of_cut()
        assert b"0\r\n\r\n" not in received
        assert b"text" not in received
    assert all(result.was_closed_once() for result in results)
    assert worker.errors() == ["GET /: the application raised"] * 6


def test_exc_info_before_the_head_is_sent_replaces_it(serve, threads):
    def application(environ, start_response):
        start_response("200 OK", [("X-First", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("503 Busy", [("X-Second", "2")], sys.exc_info())
        return [b"busy"]

    response = serve(application, threads=threads).request()
    assert (response.status, response.body) == (503, b"busy")
    assert "x-second" in response.fields
    assert "x-first" not in response.fields


def test_exc_info_after_the_head_is_sent_is_raised(serve, threads):
    caught = queue.SimpleQueue()

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b"x" * 100_000
        try:
            raise ValueError("the reason")
        except ValueError:
            try:
                start_response("500 Error", PLAIN, sys.exc_info())
            except ValueError as error:
                caught.put(str(error))
                raise

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    assert len(client.chunk()) == 100_000
    assert client.is_over()
    assert caught.get(timeout=TIMEOUT) == "the reason"


def test_more_than_the_content_length_is_cut_and_told(serve, threads):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"abcdef"] if environ["PATH_INFO"] == "/" else iter([b"ab", b"cdef"])

    worker = serve(application, threads=threads)
    client = worker.connect()
    assert client.request().body == b"abc"
    assert client.request(b"GET /parts HTTP/1.1\r\nHost: a\r\n\r\n").body == b"abc"
    assert client.request().body == b"abc"
    complaint = "the application sent more than its Content-Length; the rest was cut off"
    assert worker.errors() == [complaint] * 3


def test_parts_behind_the_content_length_are_not_asked_for(serve, threads):
    results = []

    def parts():
        while True:
            yield b"abc"

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        results.append(Parts(parts()))
        return results[-1]

    worker = serve(application, threads=threads)
    client = worker.connect()
    # Often enough that a pool would have lost all its threads.
    for _ in range(6):
        assert client.request().body == b"abc"
    assert all(result.was_closed_once() for result in results)
    assert len(results) == 6
    assert all("more than its Content-Length" in text for text in worker.errors())


def test_what_an_iterable_does_behind_its_last_part_is_done(serve, threads):
    done = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        yield b"abc"
        done.set()

    worker = serve(application, threads=threads)
    assert worker.request().body == b"abc"
    assert done.wait(TIMEOUT)
    assert worker.errors() == []


@pytest.mark.parametrize("parts", [[b"ab"], [], [b"a", b"b"]])
def test_less_than_the_content_length_ends_the_connection(serve, threads, parts):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return parts

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.send(REQUEST)
    assert client.head()[0] == 200
    assert client.rest() == b"".join(parts)
    (complaint,) = worker.errors()
    assert complaint == f"the application sent {3 - len(b''.join(parts))} bytes less than its Content-Length"
