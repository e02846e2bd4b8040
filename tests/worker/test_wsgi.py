"""WSGI applications, called by a real server on the loop's thread and in a pool: PEP 3333."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import sys
import threading
from wsgiref.validate import validator

import pytest

from tests.worker.serving import REQUEST, TIMEOUT

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = [("Content-Type", "text/plain")]


def hello(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"hello"]


def post(body):
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Parts:
    """An iterable that tells when it is closed."""

    def __init__(self, parts):
        self._parts = iter(parts)
        self.closed = threading.Event()
        self.closes = 0

    def __iter__(self):
        return self._parts

    def close(self):
        self.closes += 1
        self.closed.set()

    def was_closed_once(self):
        return self.closed.wait(TIMEOUT) and self.closes == 1


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


# Applications that go wrong


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


# close()


@pytest.mark.parametrize("parts", [[], [b"a"], [b"a", b"b"]])
def test_close_is_called_at_the_end(serve, threads, parts):
    result = Parts(parts)

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return result

    assert serve(application, threads=threads).request().body == b"".join(parts)
    assert result.was_closed_once()


def test_close_is_called_where_start_response_was_not(serve, threads):
    result = Parts([b"a"])
    assert serve(lambda environ, start_response: result, threads=threads).request().status == 500
    assert result.was_closed_once()


def test_close_that_raises_is_logged_and_no_more(serve, threads):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)

        class Result(list):
            def close(self):
                raise SystemExit

        return Result([b"a"])

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(6):
        assert client.request().body == b"a"
    assert worker.errors() == ["close() of the application's iterable raised"] * 6


def test_close_is_called_when_the_client_leaves(serve, threads):
    def endless():
        while True:
            yield b"x" * 65536

    result = Parts(endless())

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return result

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    client.close()
    assert result.was_closed_once()
    assert worker.errors() == []


# Several at once


def test_a_client_that_does_not_read_holds_nobody_up(serve, threads):
    asked_for = []

    def parts():
        for number in range(200):
            asked_for.append(number)
            yield b"x" * 65536

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return parts() if environ["PATH_INFO"] == "/large" else [b"small"]

    worker = serve(application, threads=threads, send_buffer=65536)
    slow = worker.connect(receive_buffer=4096)
    slow.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    slow.head()
    for _ in range(3):
        assert worker.request().body == b"small"
    # What has been made has either gone into the kernel's buffers or is a few parts that wait.
    assert len(asked_for) < 40
    assert sum(len(part) for part in iter(slow.chunk, b"")) == 200 * 65536
    assert len(asked_for) == 200


def test_a_pool_answers_several_at_once(serve):
    barrier = threading.Barrier(3)

    def application(environ, start_response):
        barrier.wait(TIMEOUT)
        return hello(environ, start_response)

    worker = serve(application, threads=3)
    clients = [worker.connect() for _ in range(6)]
    for client in clients:
        client.send(REQUEST)
    for client in clients:
        assert client.response().body == b"hello"


def test_a_request_whose_client_has_left_takes_no_thread(serve):
    go_on = threading.Event()
    called = []

    def application(environ, start_response):
        called.append(environ["PATH_INFO"])
        assert go_on.wait(TIMEOUT)
        return hello(environ, start_response)

    worker = serve(application, threads=2)
    busy = [worker.connect(), worker.connect()]
    for client in busy:
        client.send(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
    leaving = worker.connect()
    leaving.send(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
    worker.settle()
    leaving.reset()
    worker.settle()
    go_on.set()
    for client in busy:
        assert client.response().body == b"hello"
    assert worker.errors() == []
    assert called == ["/busy", "/busy"]


def test_pipelined_requests_of_all_kinds_are_answered_in_order(serve, threads):
    def application(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", PLAIN)
        parts = [environ["PATH_INFO"].encode(), b":", body]
        return parts if environ["REQUEST_METHOD"] == "GET" else [b"".join(parts)]

    client = serve(application, threads=threads).connect()
    sent = b""
    for number in range(30):
        sent += b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number
        sent += b"HEAD /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number
        sent += b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % number
        sent += b"PUT /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % number
        sent += b"3\r\ndef\r\n0\r\n\r\n"
    client.send(sent)
    client.end()
    for number in range(30):
        assert client.response().body == b"/%d:" % number
        assert client.response("HEAD").fields["content-length"] == str(len(f"/{number}:"))
        assert client.response().body == b"/%d:abc" % number
        assert client.response().body == b"/%d:def" % number
    assert client.is_over()


def test_each_call_has_context_variables_of_its_own(serve, threads):
    variable = contextvars.ContextVar("variable", default="nothing")

    def application(environ, start_response):
        before = variable.get()
        variable.set(environ["PATH_INFO"])
        start_response("200 OK", PLAIN)
        # Large enough that the first answer waits for its client while the second is made.
        yield before.encode()
        for _ in range(int(environ["QUERY_STRING"] or 0)):
            yield b"x" * 65536
        yield variable.get().encode()

    worker = serve(application, threads=threads, send_buffer=65536)
    slow = worker.connect(receive_buffer=4096)
    slow.send(b"GET /slow?30 HTTP/1.1\r\nHost: a\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n")
    slow.head()
    assert slow.chunk() == b"nothing"
    assert worker.request(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n").body == b"nothing/other"
    *_, last = iter(slow.chunk, b"")
    assert last == b"/slow"
    assert slow.response().body == b"nothing/behind"


def test_an_application_may_run_an_event_loop(serve, threads):
    async def answer():
        await asyncio.sleep(0)
        return b"from a coroutine"

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return [asyncio.run(answer())]

    client = serve(application, threads=threads).connect()
    for _ in range(3):
        assert client.request().body == b"from a coroutine"
