"""Connections at a stop: those that are kept for the case of a restart, and those that are not."""

from __future__ import annotations

import socket

import pytest

from sdserve.core.wire.messages import KEEPER
from sdserve.core.wire.moved import decode_moved
from sdserve.host import mailbox, scoreboard
from sdserve.worker.server import Heir
from tests.worker.moving import fill
from tests.worker.serving import REQUEST


@pytest.fixture
def keeper(make_box):
    """A mailbox whose reader keeps what comes, and who is told of it."""
    box = make_box()
    return box, lambda: Heir(box.inlet.dup(), KEEPER)


def kept_in(box):
    """What was sent, in its order: (the client's port, what is known). The connections are closed."""
    kept = []
    while True:
        try:
            packet, descriptor = mailbox.receive(box.outlet)
        except BlockingIOError:
            return kept
        with socket.socket(fileno=descriptor.steal()) as connection:
            kept.append((connection.getpeername()[1], decode_moved(packet)))


def ports(clients):
    return [client.socket.getsockname()[1] for client in clients]


def test_idle_connections_are_kept_as_they_are(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    clients = [worker.connect() for _ in range(3)]
    for count, client in enumerate(clients, 1):
        for _ in range(count):
            client.request()
    worker.drain(heir())
    worker.wait_until_drained()
    new = serve(**make(b"new"), mailbox=box.outlet)
    assert {client.request().body for client in clients} == {b"new/"}
    assert worker.row.words[scoreboard.HANDED_OVER] == new.row.words[scoreboard.ADOPTED] == 3


def test_the_newest_are_sent_first(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    clients = [worker.connect() for _ in range(3)]
    for client in clients:
        client.request()

    def age():
        for protocol in worker.server._protocols:
            place = sent.index(protocol.transport.get_extra_info("peername")[1])
            protocol.connection.deadline += 10.0 * place

    sent = ports(clients)
    worker.call(age)
    worker.drain(heir())
    worker.wait_until_drained()
    assert [port for port, _ in kept_in(box)] == sent[::-1]


def test_one_that_has_not_asked_yet_is_served_and_then_kept(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    fresh, idle = worker.connect(), worker.connect()
    idle.request()
    worker.settle()
    worker.drain(heir())
    response = fresh.request()
    assert (response.body, "connection" in response.fields) == (b"old/", False)
    worker.wait_until_drained()
    assert {port for port, _ in kept_in(box)} == set(ports([idle, fresh]))


def test_one_that_never_asks_is_closed_soon(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    silent = worker.connect()
    worker.settle()
    worker.drain(heir())
    assert silent.rest() == b""
    worker.wait_until_drained()
    assert kept_in(box) == []


def test_one_with_a_request_that_nobody_has_read_is_served_and_then_kept(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    client = worker.connect()
    client.request()

    def drain_behind_a_request():
        client.send(REQUEST)
        worker.server.drain(heir())

    worker.call(drain_behind_a_request)
    response = client.response()
    assert (response.body, "connection" in response.fields) == (b"old/", False)
    worker.wait_until_drained()
    [(port, moved)] = kept_in(box)
    assert (port, moved.requests, moved.pending) == (*ports([client]), 2, b"")


def test_one_with_the_beginning_of_a_request_stays_until_that_is_answered(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    client = worker.connect()
    client.request()
    client.send(REQUEST[:10])
    worker.settle()
    worker.drain(heir())
    assert client.request(REQUEST[10:]).body == b"old/"
    worker.wait_until_drained()
    assert [port for port, _ in kept_in(box)] == ports([client])


def test_one_whose_client_has_gone_is_not_kept(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    client = worker.connect()
    client.request()

    def drain_behind_the_end():
        client.close()
        worker.server.drain(heir())

    worker.call(drain_behind_the_end)
    worker.wait_until_drained()
    assert kept_in(box) == []


def test_a_keeper_that_takes_no_more_makes_the_rest_close_in_order(keeper, serve, make):
    box, heir = keeper
    worker = serve(**make(b"old"))
    clients = [worker.connect() for _ in range(3)]
    for client in clients:
        client.request()
    taken = heir()
    box.close()  # as when it has all that it has room for
    worker.drain(taken)
    assert [client.rest() for client in clients] == [b""] * 3
    worker.wait_until_drained()
    assert worker.row.words[scoreboard.HANDED_OVER] == 0
    assert not any("cut off" in text for text in worker.log.texts())


def test_while_the_keeper_has_no_room_the_others_are_served_and_then_it_gets_them(keeper, serve, make):
    box, heir = keeper
    filling = fill(box)
    worker = serve(**make(b"old"))
    idle, fresh = worker.connect(), worker.connect()
    idle.request()
    worker.settle()
    worker.drain(heir())
    assert "connection" not in fresh.request().fields
    assert "connection" not in idle.request().fields
    for _ in range(filling):
        mailbox.receive(box.outlet)[1].close()
    worker.wait_until_drained()
    assert {port for port, _ in kept_in(box)} == set(ports([idle, fresh]))


def test_what_comes_by_mail_is_kept_or_served(keeper, make_box, serve, make):
    """Of connections that were on their way to a worker that stops."""
    box, heir = keeper
    before = make_box()
    old, middle = serve(**make(b"old")), serve(**make(b"middle"))
    idle, fresh = old.connect(), old.connect()
    idle.request()
    old.settle()
    old.drain(Heir(before.inlet.dup(), 2))
    old.wait_until_drained()
    fresh.send(REQUEST)

    def stop():
        middle.server.serve([], before.outlet)
        middle.server.drain(heir())

    middle.call(stop)
    response = fresh.response()
    assert (response.body, "connection" in response.fields) == (b"middle/", False)
    middle.wait_until_drained()
    assert {port for port, _ in kept_in(box)} == set(ports([idle, fresh]))
