"""Connections that one supervisor has had kept are returned by another one, both in this process."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from time import monotonic

from sdserve.core.fleet import effects
from sdserve.host import mailbox
from sdserve.supervisor import observe
from sdserve.supervisor.keeping import CONNECTION
from sdserve.supervisor.recovery import Returned
from tests.supervisor.conftest import TIMEOUT
from tests.supervisor.keeping import PACKET, begin, die, handed_back, keep


def test_connections_wait_for_the_first_generation(first, start, manager, clients, told):
    keep(first, clients, 3)
    die(first)
    first.keeper.finish(first)
    house = start().house
    begin(house, handed_back(manager.store))
    assert "3 connections were kept over the restart" in told.messages
    assert house.forwarded == []
    assert list(house.mailboxes) == [5]
    assert manager.count(CONNECTION) == 0
    for _ in range(3):
        packet, descriptor = mailbox.receive(house.mailboxes[5].outlet)
        assert packet == PACKET
        descriptor.close()
    assert clients.closed() == [0, 1, 2], "there was no other copy"


def test_one_without_facts_is_closed(first, start, manager, clients):
    keep(first, clients, 1)
    with clients.connect() as other:
        first.tell_manager(f"FDSTORE=1\nFDNAME={CONNECTION}", [other.fileno()])
    house = start().house
    begin(house, handed_back(manager.store))
    assert manager.count(CONNECTION) == 0
    assert clients.closed() == [1]


def test_one_whose_client_is_gone_is_returned_all_the_same(first, start, manager, clients):
    keep(first, clients, 2)
    clients.ends.pop(0).close()
    house = start().house
    begin(house, handed_back(manager.store))
    for _ in range(2):
        _, descriptor = mailbox.receive(house.mailboxes[1].outlet)
        descriptor.close()


def many(first, manager, clients, count):
    """What is handed back where so many connections were kept; the document tells of them."""
    kept = []
    for _ in range(count):
        descriptor = clients.connect()
        first.keeper._connections[os.fstat(descriptor.fileno()).st_ino] = PACKET
        kept.append((CONNECTION, descriptor))
    first.keeper.finish(first)
    return [*kept, *handed_back(manager.store)]


def without_room(house):
    """The mailbox of the first generation is full."""
    packet = b"x" * 10_000
    with socket.socket() as connection, suppress(BlockingIOError):
        while True:
            mailbox.send(house.mailbox_of(1).inlet, packet, connection.fileno())


def test_a_thousand_are_returned_as_workers_take_them(first, start, manager, clients, told):
    kept = many(first, manager, clients, 1000)
    house = start().house
    without_room(house)
    begin(house, kept)
    assert "1000 connections were kept over the restart" in told.messages
    assert house.forwarded
    assert house.retry_at is not None
    assert not house.is_quiet, "no other program can take over now"
    taken, deadline = 0, monotonic() + TIMEOUT
    while taken < 1000:
        assert monotonic() < deadline
        list(observe.wait(house, deadline))
        with suppress(BlockingIOError):
            while True:
                packet, descriptor = mailbox.receive(house.mailboxes[1].outlet)
                descriptor.close()
                taken += packet == PACKET
    list(observe.wait(house, deadline))
    assert house.forwarded == []
    assert house.is_quiet
    assert len(clients.closed()) == 1000


def test_a_stop_while_they_wait_closes_them(first, start, manager, clients):
    kept = many(first, manager, clients, 10)
    house = start().house
    without_room(house)
    begin(house, kept)
    assert house.forwarded
    house.close()
    assert len(clients.closed()) == 10


def test_a_first_generation_that_is_dropped_closes_them_or_has_an_heir(first, start, manager, clients):
    for heir, closed in ((2, 0), (0, 10)):
        kept = many(first, manager, clients, 10)
        supervisor = start()
        without_room(supervisor.house)
        begin(supervisor.house, kept)
        if heir:
            supervisor.house.mailbox_of(heir)
        supervisor.order(effects.DropGeneration(1, heir=heir))
        assert len(clients.closed()) == closed
        clients.close()
        clients.ends.clear()
        first.keeper._connections.clear()
        if heir:
            box = supervisor.house.mailboxes[heir]
            received = []
            for one in supervisor.house.forwarded:
                one.until = monotonic() + TIMEOUT
            with suppress(BlockingIOError):
                while True:
                    packet, descriptor = mailbox.receive(box.outlet)
                    descriptor.close()
                    received.append(packet)
            assert PACKET in received
        else:
            assert supervisor.house.forwarded == []


def test_what_is_returned_has_one_owner(clients):
    returned = Returned()
    assert returned.is_empty
    box = mailbox.Mailbox.make()
    assert returned.go_on(box)
    for _ in range(2):
        returned.add(PACKET, clients.connect())
    assert len(returned) == 2
    returned.close()
    returned.close()
    assert clients.closed() == [0, 1]
    returned.add(PACKET, clients.connect())
    box.outlet.close()
    assert not returned.go_on(box), "nobody reads it, and another generation may come"
    assert (len(returned), returned.count) == (1, 0)
    returned.close()
    assert clients.closed() == [0, 1, 2]
    box.close()
