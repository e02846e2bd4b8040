from __future__ import annotations

import os
import resource
import socket

import pytest

from sdserve.host import mailbox
from sdserve.host.mailbox import Forwarding, Mailbox


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


def put(box, number):
    """A connection's other end."""
    ours, theirs = socket.socketpair()
    mailbox.send(box.inlet, b"%d" % number, theirs.fileno())
    theirs.close()
    return ours


def empty(box):
    while True:
        take(box)


def take(box):
    packet, descriptor = mailbox.receive(box.outlet)
    descriptor.close()
    return packet


def test_what_waits_is_forwarded_in_order(box, other):
    for number in range(3):
        put(box, number).close()
    forwarding = Forwarding(box)
    assert forwarding.go_on(other)
    assert forwarding.go_on(other)
    assert forwarding.count == 3
    assert [take(other) for _ in range(3)] == [b"0", b"1", b"2"]


def test_nobody_can_send_into_what_is_forwarded(box, connection):
    with box.inlet.dup() as elsewhere:
        Forwarding(box)
        with pytest.raises(BrokenPipeError):
            mailbox.send(elsewhere, b"x", connection.fileno())


def test_what_has_no_room_is_kept_until_there_is_some(box, other, connection):
    with pytest.raises(BlockingIOError):
        fill(other, connection)
    clients = [put(box, number) for number in range(2)]
    forwarding = Forwarding(box)
    for _ in range(2):
        assert not forwarding.go_on(other)
    with pytest.raises(BlockingIOError):
        empty(other)
    assert forwarding.go_on(other)
    assert forwarding.count == 2
    assert [take(other) for _ in range(2)] == [b"0", b"1"]
    assert [client.recv(1) for client in clients] == [b"", b""]
    for client in clients:
        client.close()


def test_what_is_never_taken_is_closed(box, other, connection):
    with pytest.raises(BlockingIOError):
        fill(other, connection)
    clients = [put(box, number) for number in range(2)]
    forwarding = Forwarding(box)
    assert not forwarding.go_on(other)
    forwarding.close()
    for client in clients:
        assert client.recv(1) == b""
        client.close()


def test_without_a_descriptor_nothing_is_lost(box, other):
    put(box, 7).close()
    forwarding = Forwarding(box)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        assert not forwarding.go_on(other)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert forwarding.go_on(other)
    assert take(other) == b"7"


def test_a_packet_whose_descriptor_was_lost_is_passed_over(box, other):
    box.inlet.send(b"alone")
    put(box, 8).close()
    assert Forwarding(box).go_on(other)
    assert take(other) == b"8"


def test_a_mailbox_that_is_dropped_itself_is_as_one_that_is_full(box, other):
    put(box, 9).close()
    Forwarding(other)
    assert not Forwarding(box).go_on(other)
