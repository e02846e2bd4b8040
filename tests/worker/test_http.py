"""One connection, seen from the client's side: pipelining, faults, time, and how it is closed."""

from __future__ import annotations

import select
import threading

import pytest

from tests.worker.serving import REQUEST, TIMEOUT

BAD = b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
PLAIN = [("Content-Type", "text/plain")]


def hello(environ, start_response):
    start_response("200 OK", PLAIN)
    return [environ["PATH_INFO"].encode()]


async def ignoring(scope, receive, send):
    """Answers without a look at the body of the request."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


# Faults


def test_a_bad_request_is_answered_and_the_connection_closed(serve):
    worker = serve(hello)
    client = worker.connect()
    response = client.request(BAD + REQUEST)
    assert (response.status, response.body) == (400, b"400 Bad Request\n")
    assert response.fields["connection"] == "close"
    assert response.fields["content-type"] == "text/plain; charset=utf-8"
    assert client.is_over()
    assert worker.errors() == []


def test_a_bad_request_behind_good_ones(serve):
    client = serve(hello).connect()
    client.send(REQUEST + REQUEST + BAD + REQUEST)
    assert [client.response().status for _ in range(3)] == [200, 200, 400]
    assert client.is_over()


def test_a_bad_chunk_is_answered_if_nothing_has_been(serve, threads):
    client = serve(hello, threads=threads).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX")
    assert client.response().status == 400
    assert client.is_over()


def test_a_bad_chunk_cuts_an_answer_that_has_begun(serve):
    received = []

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while received.append(await receive()) or received[-1]["type"] != "http.disconnect":
            pass

    worker = serve(application)
    client = worker.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.head()
    assert client.chunk() == b"begun"
    client.send(b"x\r\n")
    assert client.rest() == b""
    assert worker.errors() == []


def test_nothing_of_the_request_is_reflected(serve):
    client = serve(hello).connect()
    client.send(b"<script> / HTTP/1.1\r\nHost: <script>\r\n\r\n")
    assert b"script" not in client.rest()


# Pipelining


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 32, 33, 100])
def test_pipelined_requests_of_a_client_that_then_sends_no_more(serve, threads, count):
    client = serve(hello, threads=threads).connect()
    names = [b"/%d" % number for number in range(count)]
    client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % name for name in names))
    client.end()
    assert [client.response().body for _ in names] == names
    assert client.is_over()


def test_pipelined_requests_leave_others_their_turn(serve):
    order = []

    def application(environ, start_response):
        order.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    worker = serve(application)
    greedy, modest = worker.connect(), worker.connect()
    worker.settle()

    def send_both():
        # On the server's thread, so both are there when it looks.
        greedy.send(b"GET /greedy HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        modest.send(b"GET /modest HTTP/1.1\r\nHost: a\r\n\r\n")

    worker.call(send_both)
    for _ in range(100):
        greedy.response()
    modest.response()
    assert order.index("/modest") < 50


def test_a_client_that_never_reads_gets_no_more_answers(serve, threads):
    """Otherwise its answers would fill the memory: requests are small, answers are not."""
    answered = []

    def application(environ, start_response):
        answered.append(environ["PATH_INFO"])
        start_response("200 OK", PLAIN)
        return [bytes(65536)]

    worker = serve(application, threads=threads, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.socket.setblocking(False)
    sent = 0
    requests = REQUEST * 2000
    while sent < len(requests) and select.select([], [client.socket], [], 0.2)[1]:
        sent += client.socket.send(requests[sent : sent + 4096])
    worker.settle()
    assert len(answered) < 40
    # As soon as it reads it goes on.
    client.socket.settimeout(TIMEOUT)
    reader = threading.Thread(target=client.send, args=(requests[sent:],))
    reader.start()
    for _ in range(200):
        assert client.response().body == bytes(65536)
    client.reset()
    reader.join(TIMEOUT)
    assert not reader.is_alive()


def test_empty_lines_between_requests(serve):
    client = serve(hello).connect()
    assert client.request(b"\r\n" + REQUEST).status == 200
    client.send(b"\r\n")
    assert client.request(REQUEST).status == 200
    client.send(b"\r\n\r\n" + REQUEST + b"\r\n" + REQUEST)
    assert [client.response().status, client.response().status] == [200, 200]


# Bodies that nobody reads


@pytest.mark.parametrize("size", [1, 60_000])
def test_a_small_body_that_nobody_reads_is_thrown_away(serve, size):
    client = serve(ignoring).connect()
    client.send(POST % size)
    assert client.response().body == b"hello"
    client.send(bytes(size) + REQUEST)
    assert client.response().body == b"hello"


def test_a_large_body_that_nobody_reads_ends_the_connection_after_the_answer(serve):
    size = 200_000
    client = serve(ignoring).connect()
    client.send(POST % size + bytes(size))
    assert client.response().body == b"hello"
    assert client.is_over()


def test_a_drain_does_not_cut_a_connection_that_is_closed_in_stages(serve):
    worker = serve(ignoring)
    client = worker.connect()
    client.send(POST % 200_000)
    assert client.response().body == b"hello"
    assert client.rest() == b""
    worker.drain()
    for _ in range(3):
        client.send(bytes(1000))
        worker.settle()  # a reset would arrive
    client.end()
    worker.wait_until_drained()


def test_a_chunked_body_that_nobody_reads_ends_the_connection_once_it_is_large(serve):
    client = serve(ignoring).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.response().body == b"hello"
    for _ in range(5):
        client.send(b"8000\r\n" + bytes(0x8000) + b"\r\n")
    assert client.is_over()


def test_a_bad_chunk_of_a_body_that_nobody_reads_ends_the_connection(serve):
    client = serve(ignoring).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.response().body == b"hello"
    client.send(b"no size\r\n" + REQUEST)
    assert client.is_over()


def test_an_endless_body_is_not_read_for_ever_after_the_last_answer(serve):
    worker = serve(ignoring)
    client = worker.connect()
    client.send(POST % 10**12)
    assert client.response().body == b"hello"

    def send_for_ever():
        while True:
            client.send(bytes(65536))

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        send_for_ever()


# Time


def test_a_head_that_does_not_come_is_408(serve):
    client = serve(hello, head_timeout=0.1).connect()
    client.send(REQUEST[:-1])
    response = client.response()
    assert (response.status, response.fields["connection"]) == (408, "close")
    assert client.is_over()


def test_a_second_head_that_does_not_come_is_408_too(serve):
    client = serve(hello, head_timeout=0.1).connect()
    assert client.request().status == 200
    client.send(REQUEST[:-1])
    assert client.response().status == 408
    assert client.is_over()


def test_bytes_do_not_extend_the_time_for_a_head(serve):
    client = serve(hello, head_timeout=0.3).connect()
    client.send(b"GET / HTTP/1.1\r\n")
    # One field after the other, until the answer comes.
    while not select.select([client.socket], [], [], 0.02)[0]:
        client.send(b"X: y\r\n")
    assert client.head()[0] == 408


def test_a_connection_without_a_request_is_closed_without_a_word(serve):
    client = serve(hello, head_timeout=0.1).connect()
    assert client.rest() == b""


def test_an_idle_connection_is_closed_without_a_word(serve):
    client = serve(hello, keepalive_timeout=0.1).connect()
    assert client.request().status == 200
    assert client.rest() == b""


def test_a_body_that_does_not_come_is_408(serve, threads):
    worker = serve(hello, threads=threads, body_timeout=0.1)
    client = worker.connect()
    client.send(POST % 10 + b"abc")
    assert client.response().status == 408
    assert client.is_over()
    assert worker.errors() == []


def test_an_answer_that_has_begun_is_not_followed_by_408(serve):
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    client = serve(application, body_timeout=0.1).connect()
    client.send(POST % 10 + b"abc")
    client.head()
    assert client.chunk() == b"begun"
    assert client.rest() == b""


def test_a_client_that_does_not_read_is_given_up(serve, threads):
    closed = threading.Event()

    class Large:
        def __iter__(self):
            while True:
                yield bytes(65536)

        def close(self):
            closed.set()

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return Large()

    worker = serve(application, threads=threads, send_buffer=65536, write_timeout=0.2)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    assert closed.wait(TIMEOUT)
    assert worker.errors() == []


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_a_client_that_reads_slowly_gets_everything(serve, connection):
    """Longer than any time-out, and always some progress: the answer is one part, complete at once."""
    size = 1_200_000

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return [bytes(size)]

    worker = serve(application, send_buffer=32768, write_timeout=0.3, keepalive_timeout=0.1, head_timeout=0.1)
    client = worker.connect(receive_buffer=32768)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n" % connection)
    received = 0
    client.head()
    while received < size:
        received += len(client.read(min(20_000, size - received)))
        threading.Event().wait(0.01)
    assert received == size


# The end of a connection


def test_http10_gets_an_answer_that_ends_with_the_connection(serve, threads):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b"of unknown "
        yield b"length"

    client = serve(application, threads=threads).connect()
    response = client.request(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert response.body == b"of unknown length"
    assert response.fields["connection"] == "close"
    assert "transfer-encoding" not in response.fields


def test_http10_with_keep_alive(serve):
    client = serve(hello).connect()
    for _ in range(3):
        response = client.request(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (response.body, response.fields["connection"]) == (b"/", "keep-alive")
    assert client.request(b"GET / HTTP/1.0\r\n\r\n").fields["connection"] == "close"
    assert client.is_over()


@pytest.mark.parametrize("at", [0, 10, len(REQUEST) - 1])
def test_a_client_that_leaves_in_the_middle_of_a_head(serve, at):
    worker = serve(hello)
    client = worker.connect()
    client.send(REQUEST + REQUEST[:at])
    client.end()
    assert client.response().status == 200
    assert client.is_over()
    assert worker.errors() == []


def test_a_reset_at_any_time(serve, threads):
    worker = serve(hello, threads=threads)
    for sent in (b"", REQUEST[:5], REQUEST, REQUEST * 50, POST % 10, POST % 10 + b"abc", BAD):
        client = worker.connect()
        client.send(sent)
        client.reset()
        client = worker.connect()
        client.send(sent)
        worker.settle()
        client.reset()
    assert worker.request().body == b"/"
    assert worker.errors() == []


def test_a_fault_of_sdserve_itself_is_a_500(serve, monkeypatch):
    worker = serve(hello)
    client = worker.connect()
    assert client.request().status == 200

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(worker.server.gateway, "begin", fail)
    assert client.request().status == 500
    monkeypatch.undo()
    assert client.request().status == 200
    assert worker.errors() == ["an exchange failed in sdserve itself"]
