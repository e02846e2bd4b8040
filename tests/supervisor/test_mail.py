from __future__ import annotations

import logging
import os
from contextlib import suppress
from socket import socket, socketpair
from time import monotonic

import pytest

from sdserve.core.fleet import effects
from sdserve.core.wire.moved import Moved, encode_moved
from sdserve.host import mailbox
from sdserve.supervisor import mail, observe
from tests.supervisor.conftest import TIMEOUT

PACKET = encode_moved(Moved(requests=7))


@pytest.fixture
def connected():
    with socket() as made:
        yield made


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "sdserve")
    return caplog


def fill(box, connected):
    with suppress(BlockingIOError):
        while True:
            mailbox.send(box.inlet, b"x" * 10_000, connected.fileno())


def empty(box):
    """The packets that waited."""
    packets = []
    with suppress(BlockingIOError):
        while True:
            packet, descriptor = mailbox.receive(box.outlet)
            descriptor.close()
            packets.append(packet)
    return packets


def test_connections_that_wait_for_a_dropped_generation_are_passed_on(supervisor, connected, told):
    house = supervisor.house
    for _ in range(2):
        mailbox.send(house.mailbox_of(2).inlet, PACKET, connected.fileno())
    box = house.mailbox_of(3)
    assert supervisor.order(effects.DropGeneration(2, heir=3)) == []
    for _ in range(2):
        received, descriptor = mailbox.receive(box.outlet)
        assert received == PACKET
        with descriptor:
            assert os.path.sameopenfile(descriptor.fileno(), connected.fileno())
    assert 2 not in house.mailboxes
    assert house.forwarded == []
    assert "2 connections for generation 2 were passed on" in told.messages


def test_what_has_no_room_is_passed_on_later_and_to_who_inherits_then(supervisor, connected, told):
    house = supervisor.house
    mailbox.send(house.mailbox_of(2).inlet, PACKET, connected.fileno())
    fill(house.mailbox_of(3), connected)
    fill(house.mailbox_of(4), connected)
    supervisor.order(effects.DropGeneration(2, heir=3))
    assert [one.heir for one in house.forwarded] == [3]
    supervisor.order(effects.DropGeneration(3, heir=4))
    assert [(one.generation, one.heir) for one in house.forwarded] == [(2, 4), (3, 4)]
    received, deadline = [], monotonic() + TIMEOUT
    while house.forwarded:
        assert monotonic() < deadline
        received += empty(house.mailboxes[4])
        supervisor.pending += observe.wait(house, deadline)
    received += empty(house.mailboxes[4])
    assert PACKET in received
    assert "1 connections for generation 2 were passed on" in told.messages
    assert house.retry_at is None


def test_what_never_has_room_is_closed_in_the_end(supervisor, connected, told, monkeypatch):
    house = supervisor.house
    ours, theirs = socketpair()
    mailbox.send(house.mailbox_of(2).inlet, PACKET, theirs.fileno())
    theirs.close()
    fill(house.mailbox_of(3), connected)
    monkeypatch.setattr(mail, "PATIENCE", 0.0)
    supervisor.order(effects.DropGeneration(2, heir=3))
    with ours:
        assert ours.recv(1) == b""
    assert house.forwarded == []
    assert told.messages[-1] == ("connections for generation 2 are closed: generation 3 had no room for them")


def test_where_nobody_inherits_they_are_closed(supervisor, told):
    house = supervisor.house
    ours, theirs = socketpair()
    mailbox.send(house.mailbox_of(2).inlet, PACKET, theirs.fileno())
    theirs.close()
    supervisor.order(effects.DropGeneration(2))
    with ours:
        assert ours.recv(1) == b""
    assert not [text for text in told.messages if "connections" in text]


def test_what_is_left_at_the_end_is_closed_with_the_house(supervisor, connected):
    house = supervisor.house
    ours, theirs = socketpair()
    mailbox.send(house.mailbox_of(2).inlet, PACKET, theirs.fileno())
    theirs.close()
    fill(house.mailbox_of(3), connected)
    supervisor.order(effects.DropGeneration(2, heir=3))
    house.close()
    with ours:
        assert ours.recv(1) == b""
