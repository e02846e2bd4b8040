from __future__ import annotations

import os
import socket

import pytest

from sdserve.host import mailbox
from sdserve.host.mailbox import Mailbox


@pytest.fixture
def box():
    made = Mailbox.make()
    yield made
    made.close()


@pytest.fixture
def other():
    made = Mailbox.make()
    yield made
    made.close()


@pytest.fixture
def connection():
    with socket.socket() as made:
        yield made


def test_a_descriptor_arrives_with_its_packet(box, connection):
    mailbox.send(box.inlet, b"about it", connection.fileno())
    packet, descriptor = mailbox.receive(box.outlet)
    assert packet == b"about it"
    with descriptor:
        assert os.path.sameopenfile(descriptor.fileno(), connection.fileno())
        assert not os.get_inheritable(descriptor.fileno())


def fill(box, connection):
    while True:
        mailbox.send(box.inlet, b"x" * 10_000, connection.fileno())


def test_nobody_waits(box, connection):
    with pytest.raises(BlockingIOError):
        mailbox.receive(box.outlet)
    with pytest.raises(BlockingIOError):
        fill(box, connection)


def test_without_a_reader_it_says_so(box, connection):
    box.outlet.close()
    with pytest.raises(BrokenPipeError):
        mailbox.send(box.inlet, b"x", connection.fileno())


def test_what_waits_is_passed_on_in_order(box, other):
    for number in range(3):
        ours, theirs = socket.socketpair()
        mailbox.send(box.inlet, b"%d" % number, theirs.fileno())
        ours.close()
        theirs.close()
    assert box.empty_into(other) == 3
    assert box.empty_into(other) == 0
    for number in range(3):
        packet, descriptor = mailbox.receive(other.outlet)
        assert packet == b"%d" % number
        descriptor.close()


def test_what_has_no_room_there_is_closed(box, other, connection):
    with pytest.raises(BlockingIOError):
        fill(other, connection)
    ours, theirs = socket.socketpair()
    with ours:
        mailbox.send(box.inlet, b"x" * 10_000, theirs.fileno())
        theirs.close()
        assert box.empty_into(other) == 0
        assert ours.recv(1) == b""
