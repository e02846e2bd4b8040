from __future__ import annotations

import asyncio
import socket

import pytest

from sdserve.worker.boot import new_event_loop
from sdserve.worker.sockets import reset_when_closed, unacknowledged, unread
from tests.worker.serving import TIMEOUT


class Sending(asyncio.Protocol):
    """Sends so many bytes at once."""

    def __init__(self, count):
        self._count = count

    def connection_made(self, transport):
        self.transport = transport
        transport.write(bytes(self._count))


@pytest.fixture(params=["tcp", "unix"])
def connected(request, loop_kind, tmp_path):
    """A function that connects a transport whose protocol sends something, with its client and its loop."""
    loop = new_event_loop(loop_kind)
    sockets = []

    def connect(count):
        family = socket.AF_INET if request.param == "tcp" else socket.AF_UNIX
        listener, client = socket.socket(family), socket.socket(family)
        sockets.extend((listener, client))
        listener.bind(("127.0.0.1", 0) if request.param == "tcp" else str(tmp_path / "socket"))
        listener.listen()
        client.settimeout(TIMEOUT)
        client.connect(listener.getsockname())
        accepted = listener.accept()[0]
        accepted.setblocking(False)
        _, protocol = loop.run_until_complete(loop.connect_accepted_socket(lambda: Sending(count), accepted))
        turn(loop)
        return loop, protocol.transport, client

    yield connect
    for opened in sockets:
        opened.close()
    turn(loop)
    loop.close()


def turn(loop):
    """Let the loop do what is due."""
    for _ in range(5):
        loop.run_until_complete(asyncio.sleep(0))


def test_what_the_client_has_not_taken_is_seen(connected):
    loop, transport, client = connected(10_000_000)
    first = unacknowledged(transport)
    assert first > 0
    received = 0
    while received < 10_000_000:
        received += len(client.recv(1 << 20))
        turn(loop)
    assert unacknowledged(transport) == 0
    transport.close()


def test_nothing_waits_in_a_socket_that_is_gone(connected):
    loop, transport, _ = connected(10)
    transport.abort()
    turn(loop)
    reset_when_closed(transport)
    assert unacknowledged(transport) == 0
    assert unread(transport) == 0


def test_what_the_client_has_sent_is_seen_before_it_is_read(connected):
    loop, transport, client = connected(0)
    assert unread(transport) == 0
    client.send(b"hello")
    assert unread(transport) == 5
    turn(loop)
    assert unread(transport) == 0
    transport.close()


def test_a_reset_in_place_of_the_end(connected):
    loop, transport, client = connected(0)
    reset_when_closed(transport)
    transport.close()
    turn(loop)
    if client.family == socket.AF_UNIX:
        assert client.recv(1) == b""
    else:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
