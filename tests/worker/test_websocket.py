"""The shell of a WebSocket: limits, back-pressure both ways, floods, keep-alive, and how it fails."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sdserve.errors import ClientDisconnectedError
from tests.core.websocket.frames import BINARY, CONTINUATION, FIN, PING, PONG, TEXT, frame, header
from tests.worker.websocket_app import App, accept, echo
from tests.worker.websocket_client import Socket

MIB = 1024 * 1024


class Reader(App):
    """Receives nothing until it may."""

    def __init__(self):
        super().__init__(self.read)
        self.go_on = asyncio.Event()

    async def read(self, receive, send):
        await accept(receive, send)
        await self.go_on.wait()
        while (await receive())["type"] == "websocket.receive":
            pass


def websocket_of(worker):
    (protocol,) = worker.server._websockets._protocols
    return protocol


# What breaks a rule


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (frame(3), 1002, "a frame with a reserved opcode"),
        (frame(TEXT, b"\xff"), 1007, "a text that is not UTF-8"),
        (header(FIN | BINARY, 16 * MIB + 1), 1009, "a message is larger than websocket.max_message"),
    ],
)
def test_the_client_is_told_what_it_did_wrong(serve, data, code, reason):
    app = App(echo)
    worker = serve(app)
    socket = Socket.open(worker)
    socket.client.send(data)
    assert socket.closed() == (code, reason)
    # With the rest of what the client was sending no reset may overtake that.
    socket.client.send(b"x" * 100_000)
    assert socket.client.rest() == b""
    assert app.last == {"type": "websocket.disconnect", "code": 1006, "reason": reason}
    assert any(f"with {code}: {reason}" in text for text in worker.log.texts(logging.INFO))
    assert worker.errors() == []


def test_who_sends_on_for_ever_after_a_fault_is_cut_off(serve):
    socket = Socket.open(serve(App(echo)))
    socket.client.send(frame(3))
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        socket.client.send(b"x" * 64 * MIB)


def test_who_stays_silent_after_a_fault_is_cut_off(serve):
    socket = Socket.open(serve(App(echo), websocket={"close_timeout": 0.2}))
    socket.client.send(frame(3))
    assert socket.closed()[0] == 1002
    assert socket.client.rest() == b""


def test_the_longest_message_is_a_setting(serve):
    socket = Socket.open(serve(App(echo), websocket={"max_message": 1000}))
    socket.send(BINARY, b"x" * 1000)
    assert socket.message() == b"x" * 1000
    socket.client.send(header(FIN | BINARY, 1001))
    assert socket.closed()[0] == 1009


# Back-pressure


@pytest.mark.parametrize(("size", "messages"), [(10, 4), (MIB, 1)])
def test_what_the_application_does_not_take_waits_with_the_client(serve, size, messages):
    app = Reader()
    worker = serve(app, websocket={"max_queue": 4})
    socket = Socket.open(worker)
    count = 12
    socket.client.socket.settimeout(0.5)
    data = frame(BINARY, b"x" * size) if size < 100 else header(FIN | BINARY, size) + bytes(4) + b"x" * size
    sent = 0
    try:
        for _ in range(count):
            socket.client.send(data)
            sent += 1
    except TimeoutError:
        assert size == MIB
    protocol = worker.wait_for(lambda: websocket_of(worker)._exchange.full and websocket_of(worker))
    assert worker.call(lambda: len(protocol._exchange._queue)) == messages
    assert not worker.call(protocol.transport.is_reading)
    worker.call(app.go_on.set)
    if size < 100:
        socket.close()
        assert app.last["code"] == 1000
        assert len(app.received) == 1 + count + 1


def test_a_client_that_does_not_read_makes_the_application_wait(serve):
    sent = []

    async def talk(receive, send):
        await accept(receive, send)
        for number in range(200):
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})
            sent.append(number)

    worker = serve(App(talk), send_buffer=8192)
    socket = Socket.open(worker, receive_buffer=8192)
    worker.wait_for(lambda: websocket_of(worker).write_paused)
    assert len(sent) < 50
    for _ in range(200):
        assert socket.frame() == (0x82, b"x" * 100_000)
    assert socket.closed() == (1000, "")


def test_a_client_that_reads_too_slowly_is_cut_off(serve):
    async def talk(receive, send):
        await accept(receive, send)
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})

    app = App(talk)
    worker = serve(app, send_buffer=8192, write_timeout=0.2)
    Socket.open(worker, receive_buffer=8192)
    app.wait()
    assert isinstance(app.raised[0], ClientDisconnectedError)


def test_a_client_that_reads_slowly_enough_is_not(serve):
    async def talk(receive, send):
        await accept(receive, send)
        await send({"type": "websocket.send", "bytes": b"x" * 300_000})

    worker = serve(App(talk), send_buffer=8192, write_timeout=0.2, body_min_rate=0)
    socket = Socket.open(worker, receive_buffer=8192)
    got = b""
    while len(got) < 300_010:
        got += socket.client.read(min(5000, 300_010 - len(got)))
        worker.settle()
    assert socket.closed() == (1000, "")


def test_pongs_wait_for_a_client_that_does_not_read(serve):
    app = App(echo)
    worker = serve(app, send_buffer=8192, write_timeout=30)
    socket = Socket.open(worker, receive_buffer=8192)
    socket.client.send(header(FIN | BINARY, MIB) + bytes(4) + b"x" * MIB)
    protocol = worker.wait_for(lambda: websocket_of(worker).write_paused and websocket_of(worker))
    pings = [b"%0100d" % number for number in range(5000)]
    socket.client.send(b"".join(frame(PING, ping) for ping in pings))
    worker.wait_for(lambda: pings[-1] in protocol._connection.output)
    assert worker.call(lambda: len(protocol._connection.output)) < 5000
    assert socket.frame() == (0x82, b"x" * MIB)
    pongs = []
    while not pongs or pongs[-1] != pings[-1]:
        first, payload = socket.frame()
        assert first == FIN | PONG
        pongs.append(payload)
    assert len(pongs) < 100
    socket.close()


# Floods


@pytest.mark.parametrize("flood", [frame(PING), frame(CONTINUATION, fin=False)])
def test_a_flood_of_frames_leaves_others_their_turn(serve, flood):
    worker = serve(App(echo))
    socket, other = Socket.open(worker), Socket.open(worker)
    if flood != frame(PING):
        socket.send(TEXT, b"begin", fin=False)
    turns = []

    def turn():
        turns.append(None)
        if len(turns) < 1000:
            worker.loop.call_soon(turn)

    worker.call(turn)
    socket.client.send(flood * 10_000)
    for _ in range(10):
        other.text("hello")
        assert other.message() == b"hello"
    if flood == frame(PING):
        assert socket.frame() == (FIN | PONG, b"")
    else:
        socket.send(CONTINUATION, b"end")
        assert socket.message() == b"beginend"


def test_many_messages_in_one_go_arrive_in_order(serve):
    app = App(echo)
    socket = Socket.open(serve(app))
    texts = [b"%d" % number for number in range(2000)]
    socket.client.send(b"".join(frame(TEXT, text) for text in texts))
    assert [socket.message() for _ in texts] == texts
    socket.close()


# Keep-alive


def test_a_client_that_answers_pings_stays(serve):
    worker = serve(App(echo), websocket={"ping_interval": 0.1, "ping_timeout": 0.3})
    socket = Socket.open(worker)
    for number in range(1, 6):
        assert socket.frame() == (FIN | PING, b"%d" % number)
        socket.send(PONG, b"%d" % number)
    socket.close()


def test_a_client_that_does_not_is_closed(serve):
    app = App(echo)
    worker = serve(app, websocket={"ping_interval": 0.1, "ping_timeout": 0.2, "close_timeout": 0.2})
    socket = Socket.open(worker)
    frames = []
    while not frames or frames[-1][0] != 0x88:
        frames.append(socket.frame())
    reason = "no answer to a ping within websocket.ping_timeout"
    assert frames[-1][1] == b"\x03\xf3" + reason.encode()
    assert app.last == {"type": "websocket.disconnect", "code": 1006, "reason": reason}
    assert socket.client.is_over()


def test_who_is_not_read_is_not_given_up(serve):
    app = Reader()
    worker = serve(app, websocket={"max_queue": 1, "ping_interval": 0.1, "ping_timeout": 0.2})
    socket = Socket.open(worker)
    socket.text("a")
    socket.text("b")
    worker.wait_for(lambda: websocket_of(worker)._read_paused)
    began = worker.server.clock.now
    worker.wait_for(lambda: worker.server.clock.now > began + 0.6)
    worker.call(app.go_on.set)
    while (received := socket.frame())[0] != 0x88 and len(app.received) < 3:
        socket.client.send(frame(PONG, received[1]))
    assert [message.get("text") for message in app.received[1:3]] == ["a", "b"]
