"""Requests that wait for a thread of the pool for too long, and calls that take too long on one."""

from __future__ import annotations

import gc
import threading
from math import inf

import pytest

from sdserve.core.wire.messages import Drain, Ready, RecycleAsked
from sdserve.errors import EXIT_OK
from sdserve.worker.wsgi_pooled import PooledExchange
from tests.worker.answers import PLAIN, Parts, Told
from tests.worker.answers import wsgi_hello as hello
from tests.worker.serving import REQUEST, TICK, TIMEOUT

SOON = 0.2
REASON = "a request has made no progress for workers.request_timeout"


def get(path):
    return b"GET " + path + b"?secret HTTP/1.1\r\nHost: a\r\n\r\n"


class Stuck:
    """An application that waits, at /stuck and below, until the test lets it go on."""

    def __init__(self):
        self.go_on = threading.Event()
        self.called = Told()
        self.ended = Told()
        self.closed = Told()

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if not path.startswith("/stuck"):
            return hello(environ, start_response)
        self.called(path)
        if path == "/stuck/in/a/part":
            start_response("200 OK", PLAIN)
            return Parts(self._parts())
        assert self.go_on.wait(TIMEOUT)
        self.ended(path)
        return hello(environ, start_response)

    def _parts(self):
        try:
            yield b"first"
            assert self.go_on.wait(TIMEOUT)
            yield b"second"
        finally:
            self.closed(True)


@pytest.fixture
def stuck():
    application = Stuck()
    yield application
    application.go_on.set()


def errors_of(worker):
    texts = worker.errors()
    assert not any("secret" in text for text in texts)
    return texts


# workers.max_queue_time


def test_a_request_that_waits_too_long_is_answered_503_without_the_application(serve, stuck):
    worker = serve(stuck, threads=2, max_queue_time=SOON)
    busy = [worker.connect(), worker.connect()]
    for client in busy:
        client.send(get(b"/stuck"))
        assert stuck.called.next() == "/stuck"
    client = worker.connect()
    response = client.request(get(b"/stuck/late"))
    assert (response.status, response.body) == (503, b"503 Service Unavailable\n")
    assert response.fields["retry-after"] == "1"
    client.send(get(b"/hello"))  # on the same connection
    stuck.go_on.set()
    assert {client.response().body for client in [*busy, client]} == {b"hello"}
    assert worker.errors() == []
    assert stuck.called._queue.empty()
    warning = "all 2 threads were busy for workers.max_queue_time: 1 requests are answered 503"
    assert warning in worker.log.texts()


def waiting(worker):
    return worker.server.gateway.pool.submitted_until(inf)


def let_ticks_pass(worker):
    passed = threading.Event()
    worker.call(worker.loop.call_later, 4 * TICK, passed.set)
    assert passed.wait(TIMEOUT)


@pytest.mark.parametrize("limit", [0, 600])
def test_below_the_limit_a_request_waits_as_long_as_it_takes(serve, stuck, limit):
    worker = serve(stuck, threads=2, request_timeout=TIMEOUT, max_queue_time=limit)
    clients = [worker.connect() for _ in range(4)]
    for client in clients:
        client.send(get(b"/stuck"))
    worker.wait_for(lambda: len(waiting(worker)) == 2)
    let_ticks_pass(worker)
    assert len(waiting(worker)) == 2
    stuck.go_on.set()
    assert [client.response().body for client in clients] == [b"hello"] * 4


def test_the_body_of_a_request_that_is_not_called_is_given_back(serve, stuck):
    worker = serve(stuck, threads=2, max_queue_time=SOON, body_memory=10)
    for _ in range(2):
        worker.connect().send(get(b"/stuck"))
        stuck.called.next()
    client = worker.connect()
    client.send(b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n" + bytes(20))
    (exchange,) = worker.wait_for(lambda: waiting(worker))
    assert client.response().status == 503
    worker.settle()
    assert exchange._spool._file.closed


def test_a_client_that_leaves_the_queue_is_forgotten_at_once(serve, stuck):
    worker = serve(stuck, threads=2, body_memory=10)
    for _ in range(2):
        worker.connect().send(get(b"/stuck"))
        stuck.called.next()
    client = worker.connect()
    client.send(b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n" + bytes(20))
    (exchange,) = worker.wait_for(lambda: waiting(worker))
    client.reset()
    worker.wait_for(lambda: not waiting(worker))
    assert worker.call(lambda: worker.server.gateway.busy) == 2
    assert exchange._spool._file.closed


def exchanges():
    gc.collect()
    return sum(type(found) is PooledExchange for found in gc.get_objects())


@pytest.mark.parametrize("limit", [0, SOON])
def test_nothing_is_kept_of_a_request_that_no_thread_took(serve, stuck, limit):
    """Left by its client, or answered 503, while all threads are busy for as long as they like."""
    worker = serve(stuck, threads=2, max_queue_time=limit)
    before = exchanges()
    for _ in range(2):
        worker.connect().send(get(b"/stuck"))
        stuck.called.next()
    clients = [worker.connect() for _ in range(20)]
    for client in clients:
        client.send(get(b"/late"))
    if limit:
        assert {client.response().status for client in clients} == {503}
    else:
        worker.wait_for(lambda: len(waiting(worker)) == len(clients))
        for client in clients:
            client.reset()
    worker.wait_for(lambda: not waiting(worker))
    assert worker.call(exchanges) == before + 2
    stuck.go_on.set()
    assert worker.request(get(b"/hello")).body == b"hello"


# workers.request_timeout


def test_a_call_that_takes_too_long_is_answered_504_and_its_thread_replaced(serve, stuck):
    worker = serve(stuck, threads=2, request_timeout=SOON)
    for _ in range(5):  # more often than there are threads
        client = worker.connect()
        response = client.request(get(b"/stuck"))
        assert (response.status, response.body) == (504, b"504 Gateway Timeout\n")
        assert client.request(get(b"/hello")).body == b"hello"
    assert worker.retiring == [REASON]
    stuck.go_on.set()
    assert [stuck.ended.next() for _ in range(5)] == ["/stuck"] * 5
    texts = errors_of(worker)
    assert len(texts) == 5
    for text in texts:
        head, *stack = text.splitlines()
        assert head.startswith("GET /stuck: the application made no progress for 0 seconds")
        assert any("Stuck.__call__" in line for line in stack)


def test_an_answer_that_has_begun_is_cut(serve, stuck):
    worker = serve(stuck, threads=2, request_timeout=SOON)
    client = worker.connect()
    client.send(get(b"/stuck/in/a/part"))
    client.head()
    assert client.chunk() == b"first"
    assert client.rest_of_cut() == b""
    stuck.go_on.set()
    assert stuck.closed.next()
    (text,) = errors_of(worker)
    assert text.startswith("GET /stuck/in/a/part: ")


def test_the_thread_of_a_client_that_has_left_is_replaced_as_well(serve, stuck):
    worker = serve(stuck, threads=2, request_timeout=SOON)
    for _ in range(2):
        client = worker.connect()
        client.send(get(b"/stuck"))
        stuck.called.next()
        client.reset()
    assert worker.request(get(b"/hello")).body == b"hello"
    stuck.go_on.set()
    assert len(errors_of(worker)) == 2


def test_each_part_is_progress(serve):
    go_on = threading.Semaphore(0)

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        for _ in range(6):
            assert go_on.acquire(timeout=TIMEOUT)
            yield b"part"

    worker = serve(application, threads=2, request_timeout=TIMEOUT)
    client = worker.connect()
    client.send(REQUEST)
    (exchange,) = worker.wait_for(lambda: list(worker.server.gateway.calls))
    seen = []
    for number in range(5):
        go_on.release()
        if number == 0:
            client.head()
        assert client.chunk() == b"part"
        seen.append(exchange.progress)
    assert seen == sorted(set(seen))
    go_on.release()
    assert [client.chunk(), client.chunk()] == [b"part", b""]
    assert worker.errors() == []


def test_the_time_in_which_a_client_does_not_read_is_its_own(serve):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        for _ in range(60):
            yield bytes(65536)

    worker = serve(application, threads=2, request_timeout=SOON, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    for _ in range(4):
        let_ticks_pass(worker)
    assert sum(map(len, iter(client.chunk, b""))) == 60 * 65536
    assert worker.errors() == []


def test_a_thread_that_hangs_after_its_client_has_stopped_reading_and_left(serve, stuck):
    def application(environ, start_response):
        if environ["PATH_INFO"] != "/stuck":
            return hello(environ, start_response)
        write = start_response("200 OK", PLAIN)
        for _ in range(1000):
            try:
                write(bytes(65536))
            except Exception:
                break
        assert stuck.go_on.wait(TIMEOUT)
        return []

    worker = serve(application, threads=2, request_timeout=SOON, send_buffer=65536)
    for _ in range(3):
        client = worker.connect(receive_buffer=4096)
        client.send(get(b"/stuck"))
        client.head()
        (protocol,) = worker.call(lambda: list(worker.server._protocols))
        worker.wait_for(lambda protocol=protocol: protocol.write_paused)
        client.reset()
        worker.wait_for(lambda: not worker.server._protocols)
    assert worker.request(get(b"/hello")).body == b"hello"
    stuck.go_on.set()
    texts = errors_of(worker)
    assert len(texts) >= 2
    assert all("made no progress" in text for text in texts)


@pytest.mark.parametrize("late", ["close", "tail"])
def test_what_is_done_after_the_answer_may_take_its_time(serve, stuck, late):
    def wait():
        assert stuck.go_on.wait(TIMEOUT)
        stuck.closed(True)

    class Result:
        def __iter__(self):
            yield b"done"
            if late == "tail":
                wait()

        def close(self):
            if late == "close":
                wait()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return Result()

    worker = serve(application, threads=2, request_timeout=SOON)
    client = worker.connect()
    assert client.request().body == b"done"
    (exchange,) = worker.call(lambda: list(worker.server.gateway.calls))
    assert exchange.progress < 0
    stuck.go_on.set()
    assert stuck.closed.next()
    assert worker.errors() == []


def test_a_worker_asks_for_a_successor(fork):
    worker = fork("stuck", threads=2, request_timeout=SOON, drain_timeout=SOON)
    identity = {"generation": 3, "serial": 14}
    assert worker.told() == Ready(**identity, interface="wsgi")
    assert worker.connect().request(get(b"/sleep")).status == 504
    assert worker.told() == RecycleAsked(**identity, reason=REASON)
    worker.tell(Drain(**identity))
    status, errors = worker.end()
    assert status == EXIT_OK
    assert "GET /sleep: the application made no progress for " in errors
    assert "in stuck" in errors
    assert "1 calls are left" in errors
