"""How many connections a worker holds, and what it does when there is no room for one more."""

from __future__ import annotations

import logging
import os
import resource
import select
import socket
import time

import pytest

from sdserve.core.wire.moved import Moved, encode_moved
from sdserve.host import mailbox, scoreboard
from tests.worker.answers import wsgi_hello
from tests.worker.serving import REQUEST, TICK, TIMEOUT


def answered(client, seconds):
    """Whether something arrives within so many seconds."""
    return bool(select.select([client.socket], [], [], seconds)[0])


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# http.max_connections


def test_at_the_limit_no_more_are_accepted_until_one_leaves(serve):
    worker = serve(wsgi_hello, max_connections=2)
    first, second = worker.connect(), worker.connect()
    for client in (first, second):
        assert client.request().status == 200
        client.send(REQUEST[:-1])  # not idle
    worker.settle()
    third = worker.connect()
    third.send(REQUEST)
    worker.settle()
    assert not answered(third, 0.2)
    assert worker.row.words[scoreboard.CONNECTIONS] == 2
    # Who is connected is served on.
    assert first.request(REQUEST[-1:]).status == 200
    first.close()
    assert third.response().status == 200
    second.close()
    assert worker.connect().request().status == 200


def test_at_the_limit_who_waits_has_the_place_of_who_is_idle(serve, monkeypatch):
    monkeypatch.setattr("sdserve.worker.server._RECLAIMED", 1)
    worker = serve(wsgi_hello, max_connections=3)
    clients = [worker.connect() for _ in range(3)]
    for client in clients:
        for _ in range(2):  # and as long as nobody waits, they stay
            assert client.request().status == 200
        now = worker.server.clock.now
        wait_for(lambda now=now: worker.server.clock.now > now + TICK)
    late = [worker.connect() for _ in range(2)]
    for client in late:
        assert client.request().status == 200
    assert clients[0].is_over()
    assert clients[1].is_over()
    assert clients[2].request().status == 200


def test_who_waits_may_be_the_next_at_once(serve, monkeypatch):
    """Not at the next tick: others may wait behind."""
    monkeypatch.setattr("sdserve.worker.server._RECLAIMED", 1)
    worker = serve(wsgi_hello, max_connections=1)
    clients = [worker.connect() for _ in range(4)]
    for client in clients:
        assert client.request().status == 200
    assert [client.is_over() for client in clients[:3]] == [True] * 3
    assert clients[3].request().status == 200


def test_who_waits_in_the_mailbox_has_the_place_of_who_is_idle_as_well(make_box, serve):
    box = make_box()
    worker = serve(wsgi_hello, max_connections=1, mailbox=box.outlet)
    idle = worker.connect()
    assert idle.request().status == 200
    ours, theirs = socket.socketpair()
    moved = Moved(pending=REQUEST, deadline=time.monotonic() + 60)
    mailbox.send(box.inlet, encode_moved(moved), theirs.fileno())
    theirs.close()
    assert idle.is_over()
    with ours:
        ours.settimeout(TIMEOUT)
        assert ours.recv(100).startswith(b"HTTP/1.1 200")


def test_the_limit_is_said_once_a_minute(serve):
    worker = serve(wsgi_hello, max_connections=1)
    for _ in range(5):
        client = worker.connect()
        assert client.request().status == 200
        client.close()
    said = [text for text in worker.log.texts() if "max_connections" in text]
    assert said == ["this worker has http.max_connections = 1: more wait"]


def test_a_worker_at_its_limit_drains_and_accepts_no_more(serve):
    worker = serve(wsgi_hello, max_connections=1)
    client = worker.connect()
    assert client.request().status == 200
    waiting = worker.connect()
    waiting.send(REQUEST)
    worker.drain()
    worker.wait_until_drained()
    assert client.is_over()
    assert not answered(waiting, 0.1)


def test_a_connection_that_is_gone_before_it_is_served_does_not_count(serve, monkeypatch):
    worker = serve(wsgi_hello, max_connections=1)

    def fail(_):
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr("sdserve.worker.server.Peer", fail)
    for _ in range(3):
        assert worker.connect().is_over()
    monkeypatch.undo()
    assert worker.connect().request().status == 200


# No more descriptors


@pytest.fixture
def no_more_descriptors():
    """A function after which the process can open nothing until something is closed."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def fill():
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_idle_connections_make_room_for_new_ones(serve, no_more_descriptors, monkeypatch):
    monkeypatch.setattr("sdserve.worker.server._RECLAIMED", 2)
    worker = serve(wsgi_hello)
    clients = [worker.connect() for _ in range(4)]
    for client in clients[:3]:
        assert client.request().status == 200
    # This one is in the middle of a request.
    clients[3].send(REQUEST[:-1])
    worker.settle()

    def connect_the_last():
        # On the server's thread, so it cannot accept before there is nothing left to accept with.
        late = worker.connect()
        no_more_descriptors()
        return late

    late = worker.call(connect_the_last)
    assert late.request().status == 200
    assert [text[:40] for text in worker.log.texts(logging.ERROR)] == [
        "cannot accept connections for now: Too m"
    ]
    # Two of the idle ones are gone, and not who was in the middle of a request.
    clients[3].send(REQUEST[-1:])
    assert clients[3].response().status == 200
    assert [answered(client, 0) for client in clients[:3]].count(True) == 2


def test_a_connection_is_not_idle_if_a_request_waits_to_be_read(serve):
    worker = serve(wsgi_hello)
    client = worker.connect()
    assert client.request().status == 200

    def reclaim_behind_a_request():
        client.send(REQUEST)
        worker.server._reclaim()

    worker.call(reclaim_behind_a_request)
    assert client.response().status == 200
    assert client.request().status == 200


def test_who_was_idle_for_longest_goes_first(serve, monkeypatch):
    monkeypatch.setattr("sdserve.worker.server._RECLAIMED", 1)
    worker = serve(wsgi_hello)
    clients = [worker.connect() for _ in range(3)]
    for client in (clients[1], clients[0], clients[2]):
        assert client.request().status == 200
        now = worker.server.clock.now
        wait_for(lambda now=now: worker.server.clock.now > now)
    worker.call(worker.server._reclaim)
    assert clients[1].is_over()
    assert clients[0].request().status == 200
    worker.call(worker.server._reclaim)
    assert clients[2].is_over()
    assert clients[0].request().status == 200
