"""What one client may cost: in bytes, in time, in turns."""

from __future__ import annotations

import select
import threading

import pytest

from tests.worker.answers import Told, wsgi_hello
from tests.worker.exchanges import OK, answer_with
from tests.worker.serving import REQUEST, TIMEOUT

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
ONE_READ = 256 * 1024
"""Both event loops ask the kernel for no more at once."""


def pause(seconds):
    threading.Event().wait(seconds)


def send_all_it_takes(client, data, most=200):
    """Send `data` again and again until the server takes no more; how much it took."""
    client.socket.setblocking(False)
    sent = 0
    for _ in range(most):
        if not select.select([], [client.socket], [], 0.3)[1]:
            return sent
        sent += client.socket.send(data)
    raise AssertionError(f"the server has taken {sent} bytes")


# Bytes


def test_what_a_client_sends_ahead_waits_in_the_kernel(serve):
    """Memory is bounded by one read however much is pipelined behind a request that is being answered."""
    worker = serve(wsgi_hello, drain_timeout=0.1)
    protocols = []
    answer_with(worker, protocols.append)
    client = worker.connect()
    client.send(REQUEST)
    send_all_it_takes(client, REQUEST * 4000)
    worker.settle()
    (protocol,) = protocols
    assert len(protocol.connection._input.data) <= ONE_READ


@pytest.mark.parametrize(("max_output", "paused"), [(8192, True), (16 * 1024 * 1024, False)])
def test_whoever_answers_waits_when_enough_waits_for_the_client(serve, max_output, paused):
    worker = serve(wsgi_hello, send_buffer=65536, max_output=max_output)
    told = Told()

    def answer(protocol):
        protocol.send_response(OK, [], bytes(1_000_000), more=True)
        told(protocol.write_paused)
        protocol.send_data(b"", more=False)

    answer_with(worker, answer)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    assert told.next() is paused
    assert len(client.response().body) == 1_000_000


@pytest.mark.parametrize("max_pipelined", [1, 3])
def test_others_have_their_turn_after_max_pipelined_requests(serve, max_pipelined):
    worker = serve(wsgi_hello, max_pipelined=max_pipelined)
    order = []

    def answer(protocol):
        order.append(protocol.peer.client)
        protocol.send_response(OK, [], b"", more=False)

    answer_with(worker, answer)
    greedy, modest = worker.connect(), worker.connect()
    greedy.request()
    modest.request()
    del order[:]

    def send_both():
        greedy.send(REQUEST * 12)
        modest.send(REQUEST)

    worker.call(send_both)
    for _ in range(12):
        greedy.response()
    modest.response()
    assert order.index(modest.socket.getsockname()) <= 2 * max_pipelined


# Time


def test_a_body_that_drips_is_given_up(serve):
    """Each byte is in time by itself; all together are not."""
    worker = serve(wsgi_hello, body_timeout=0.4, body_min_rate=1000)
    client = worker.connect()
    client.send(POST)
    while not select.select([client.socket], [], [], 0.02)[0]:
        client.send(b"x")
    assert client.head()[0] == 408


def test_a_body_may_take_its_time_without_a_least_rate(serve):
    worker = serve(wsgi_hello, body_timeout=0.4, body_min_rate=0)
    client = worker.connect()
    client.send(POST.replace(b"100000", b"50"))
    for _ in range(50):
        client.send(b"x")
        pause(0.02)
    assert client.response().status == 200


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_a_client_that_takes_an_answer_in_drips_is_given_up(serve, connection):
    worker = serve(wsgi_hello, send_buffer=65536, write_timeout=0.3, body_min_rate=1_000_000)
    gone = answer_with(worker, lambda protocol: protocol.send_response(OK, [], bytes(5_000_000), more=True))
    client = worker.connect(receive_buffer=4096)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n" % connection)
    over = threading.Event()

    def wait_for_the_end():
        gone.next()
        gone.next()
        over.set()

    waiter = threading.Thread(target=wait_for_the_end, daemon=True)
    gone("begun")
    waiter.start()
    for _ in range(int(TIMEOUT / 0.02)):
        if over.is_set():
            break
        client.socket.recv(2000)
        pause(0.02)
    assert over.is_set()
    waiter.join(TIMEOUT)


def test_an_answer_that_was_complete_long_ago_may_be_taken_as_slowly(serve):
    """The whole of it is ours to keep; the least rate counts for it as well, and this client meets it."""
    size = 600_000
    worker = serve(wsgi_hello, send_buffer=65536, write_timeout=0.3, body_min_rate=1000, max_output=4096)
    answer_with(worker, lambda protocol: protocol.send_response(OK, [], bytes(size), more=False))
    client = worker.connect(receive_buffer=8192)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    client.head()
    received = 0
    while received < size:
        received += len(client.read(min(10_000, size - received)))
        pause(0.02)
    assert client.is_over()
