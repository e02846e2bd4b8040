"""WSGI answers under way: `close`, clients that leave or do not read, and several at once."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading

import pytest

from tests.worker.answers import PLAIN, Parts
from tests.worker.answers import wsgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT

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
    assert worker.errors() == ["GET /: close() of the application's iterable raised"] * 6


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


def test_an_application_may_ignore_that_its_client_has_left(serve, threads):
    ended = threading.Event()

    def application(environ, start_response):
        write = start_response("200 OK", PLAIN)
        for _ in range(100):
            with contextlib.suppress(Exception):
                write(bytes(65536))
        ended.set()
        return []

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    client.close()
    assert ended.wait(TIMEOUT)
    assert worker.errors() == []


def test_a_file_is_sent_and_closed(serve, threads, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    opened = []

    def application(environ, start_response):
        opened.append(path.open("rb"))
        start_response("200 OK", [("Content-Length", "256000")])
        return environ["wsgi.file_wrapper"](opened[-1])

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(2):
        assert client.request().body == path.read_bytes()
    assert worker.errors() == []
    assert all(file.closed for file in opened)


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


def test_close_may_run_an_event_loop_while_the_next_request_waits(serve, threads):
    async def close():
        await asyncio.sleep(0)

    class Result(Parts):
        def close(self):
            asyncio.run(close())
            super().close()

    results = []

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        results.append(Result([b"a", b"b"]))
        return results[-1]

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.send(REQUEST * 5)
    assert [client.response().body for _ in range(5)] == [b"ab"] * 5
    assert worker.errors() == []
    assert all(result.was_closed_once() for result in results)


def test_a_stream_leaves_others_their_turn(serve):
    enough = threading.Event()
    most = 300_000

    def parts():
        for _ in range(most):
            if enough.is_set():
                return
            yield b"x"

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        if environ["PATH_INFO"] == "/enough":
            enough.set()
            return [b"thanks"]
        return parts()

    worker = serve(application)
    reader = worker.connect()
    reader.send(REQUEST)
    received = []
    reading = threading.Thread(target=lambda: received.append(reader.response().body))
    reading.start()
    assert worker.request(REQUEST.replace(b"/", b"/enough", 1)).body == b"thanks"
    reading.join(TIMEOUT)
    assert 0 < len(received[0]) < most, "the stream was not interrupted before its end"


def test_a_part_is_on_its_way_before_the_next_one_is_made(serve, threads):
    seen = threading.Event()

    def parts():
        yield b"first"
        assert seen.wait(TIMEOUT), "the client has not seen the first part"
        yield b"second"

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return parts()

    client = serve(application, threads=threads).connect()
    client.send(REQUEST)
    client.head()
    assert client.chunk() == b"first"
    seen.set()
    assert client.chunk() == b"second"
    assert client.chunk() == b""
