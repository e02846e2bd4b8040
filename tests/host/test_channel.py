from __future__ import annotations

import os
import socket

import pytest

from sdserve.core import wire
from sdserve.errors import WireError
from sdserve.host import channel
from sdserve.host.channel import MAX_DESCRIPTORS, Received
from sdserve.host.fds import Fd


@pytest.fixture
def ends():
    kept, given = channel.pair()
    yield kept, given
    kept.close()
    given.close()


def test_messages_arrive_whole_and_in_order(ends):
    kept, given = ends
    sent = [wire.Drain(generation=1, serial=serial) for serial in range(5)]
    for message in sent:
        kept.send(message)
    assert [given.receive() for _ in sent] == [Received(message) for message in sent]


def fill(end):
    while True:
        end.send(wire.Drain())


def test_the_kept_end_never_blocks(ends):
    kept, _ = ends
    with pytest.raises(BlockingIOError):
        kept.receive()
    with pytest.raises(BlockingIOError):
        fill(kept)


def test_two_hundred_workers_can_be_asked_for_at_once(ends):
    kept, given = ends
    with open(os.devnull) as null:
        for serial in range(200):
            kept.send(wire.ForkWorker(generation=1, serial=serial, slot=serial, row=serial), [null.fileno()])
    for serial in range(200):
        received = given.receive()
        assert received.message.serial == serial
        received.descriptors[0].close()


def test_the_largest_packet_arrives(ends):
    kept, given = ends
    message = wire.Open(directory="x" * (wire.MAX_PACKET - 300))
    kept.send(message)
    assert given.receive() == Received(message)


def test_descriptors_arrive_in_order_and_close_on_exec(ends):
    kept, given = ends
    memory = [os.memfd_create(name) for name in ("first", "second")]
    kept.send(wire.Open(listeners=("a",)), memory)
    for number in memory:
        os.close(number)
    received = given.receive()
    names = [os.readlink(f"/proc/self/fd/{fd.fileno()}") for fd in received.descriptors]
    assert [name.split()[0] for name in names] == ["/memfd:first", "/memfd:second"]
    assert not any(os.get_inheritable(fd.fileno()) for fd in received.descriptors)
    for fd in received.descriptors:
        fd.close()


def test_as_many_descriptors_as_the_kernel_allows(ends):
    kept, given = ends
    with open(os.devnull) as null:
        kept.send(wire.Open(), [null.fileno()] * MAX_DESCRIPTORS)
    received = given.receive()
    assert len(received.descriptors) == MAX_DESCRIPTORS
    for fd in received.descriptors:
        fd.close()


def test_the_end_is_none(ends):
    kept, given = ends
    kept.send(wire.Drain())
    kept.close()
    assert given.receive() == Received(wire.Drain())
    assert given.receive() is None
    with pytest.raises(BrokenPipeError):
        given.send(wire.Drain())


def test_last_words_arrive_from_one_who_did_not_listen(ends):
    kept, given = ends
    kept.send(wire.Drain())
    given.send(wire.RecycleAsked(serial=8))
    given.close()  # the kernel resets the other side
    assert kept.receive() == Received(wire.RecycleAsked(serial=8))
    assert kept.receive() is None


def test_nonsense_is_a_wire_error_and_its_descriptors_are_closed(ends):
    kept, given = ends
    with open(os.devnull) as null:
        socket.send_fds(given.socket, [b"garbage"], [null.fileno()])
        lowest_free = os.dup(null.fileno())
        os.close(lowest_free)
        with pytest.raises(WireError, match="is not JSON"):
            kept.receive()
        again = os.dup(null.fileno())
        os.close(again)
    assert again == lowest_free


def test_an_oversized_packet_is_a_wire_error(ends):
    kept, given = ends
    given.socket.send(b" " * (wire.MAX_PACKET + 1))
    with pytest.raises(WireError, match="cut short"):
        kept.receive()


def test_the_pair_knows_who_made_it(ends):
    kept, given = ends
    child = os.fork()
    if child == 0:
        os._exit(given.peer_pid() != os.getppid())
    assert os.waitpid(child, 0)[1] == 0
    assert kept.peer_pid() == os.getpid()


def test_an_end_is_adopted_by_its_number(ends):
    kept, given = ends
    adopted = channel.adopt(Fd(os.dup(given.fileno())))
    kept.send(wire.Drain(serial=3))
    assert adopted.receive() == Received(wire.Drain(serial=3))
    assert not os.get_inheritable(adopted.fileno())
    adopted.close()


def test_what_is_no_socket_is_not_adopted():
    number = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(WireError, match="is not a channel"):
        channel.adopt(Fd(number))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
