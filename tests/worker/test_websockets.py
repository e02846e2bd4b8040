"""WebSockets of a worker that has to go."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.core.websocket.frames import TEXT, close, frame
from tests.worker.serving import TIMEOUT
from tests.worker.websocket_app import App, accept, echo
from tests.worker.websocket_client import Socket, handshake

DRAINING = "sdserve.draining"


class Told:
    """Says good-bye when it is told that its worker drains."""

    def __init__(self):
        self.codes = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await accept(receive, send)
        draining = asyncio.ensure_future(scope["state"][DRAINING].wait())
        await draining
        await send({"type": "websocket.send", "text": "good-bye"})
        self.codes.append((await receive())["code"])


def answer(socket):
    """Take the close frame as a client does; its code and when it came."""
    code, _ = socket.closed()
    at = time.monotonic()
    socket.client.send(close(code))
    assert socket.client.is_over()
    return code, at


def test_they_are_closed_with_1012_one_after_another(pair):
    old, new, heir = pair(
        {"application": App(echo), "workers": {"websocket_drain": 1.0}}, {"application": App(echo)}
    )
    sockets = [Socket.open(old) for _ in range(9)]
    began = time.monotonic()
    old.drain(heir())
    codes, times = zip(*(sorted((answer(socket) for socket in sockets), key=lambda one: one[1])), strict=True)
    assert set(codes) == {1012}
    assert times[-1] - began >= 0.8
    old.wait_until_drained()
    socket = Socket.open(new)
    socket.close()


def test_they_are_not_closed_all_at_once(pair):
    old, _, heir = pair(
        {"application": App(echo), "workers": {"websocket_drain": 4.0}}, {"application": App(echo)}
    )
    sockets = [Socket.open(old) for _ in range(3)]
    old.drain(heir())
    closed = old.wait_for(lambda: 3 - len(old.server._websockets._leaving))
    assert closed == 1
    for socket in sockets:
        socket.client.close()
    old.wait_until_drained()


def test_where_nobody_serves_on_it_is_1001_and_soon(serve):
    worker = serve(App(echo), workers={"websocket_drain": 60.0})
    sockets = [Socket.open(worker) for _ in range(3)]
    worker.drain()
    assert [answer(socket)[0] for socket in sockets] == [1001] * 3
    worker.wait_until_drained()


def test_the_application_is_told_first(pair):
    app = Told()
    old, _, heir = pair({"application": app, "workers": {"websocket_drain": 0.3}}, {"application": App(echo)})
    socket = Socket.open(old)
    old.drain(heir())
    assert socket.frame() == (0x81, b"good-bye")
    assert answer(socket)[0] == 1012
    old.wait_until_drained()
    assert app.codes == [1012]


def test_messages_that_were_on_their_way_are_received(serve):
    async def talk(receive, send):
        await accept(receive, send)
        while (await receive())["type"] == "websocket.receive":
            pass

    app = App(talk)
    worker = serve(app)
    socket = Socket.open(worker)
    worker.drain()
    code, _ = socket.closed()
    socket.client.send(frame(TEXT, b"late") + close(code))
    worker.wait_until_drained()
    assert [message.get("text", message.get("code")) for message in app.received[1:]] == ["late", 1001]


def test_an_application_that_is_closed_cannot_send_any_more(serve):
    async def talk(receive, send):
        await accept(receive, send)
        while True:
            await asyncio.sleep(0.01)
            await send({"type": "websocket.send", "text": "tick"})

    app = App(talk)
    worker = serve(app)
    socket = Socket.open(worker)
    worker.drain()
    while (received := socket.frame())[0] == 0x81:
        pass
    assert received == (0x88, b"\x03\xe9going away")
    app.wait()
    assert isinstance(app.raised[0], OSError)
    socket.client.send(close(1001))
    worker.wait_until_drained()


@pytest.mark.parametrize("with_heir", [False, True])
def test_one_that_is_accepted_while_the_worker_drains_is_closed_as_well(pair, with_heir):
    go_on = asyncio.Event()

    async def talk(receive, send):
        await receive()
        await go_on.wait()
        await send({"type": "websocket.accept"})
        await receive()

    old, _, heir = pair(
        {"application": App(talk), "workers": {"websocket_drain": 0.2}}, {"application": App(echo)}
    )
    client = old.connect()
    client.send(handshake())
    old.wait_for(lambda: old.server.in_flight)
    old.drain(heir() if with_heir else None)
    old.call(go_on.set)
    assert client.head()[0] == 101
    assert answer(Socket(client))[0] == (1012 if with_heir else 1001)
    old.wait_until_drained()


def test_who_has_no_heir_any_more_hurries(pair):
    old, _, heir = pair(
        {"application": App(echo), "workers": {"websocket_drain": 4.0}}, {"application": App(echo)}
    )
    sockets = [Socket.open(old) for _ in range(2)]
    old.drain(heir())
    old.drain(heir())
    assert not old.call(lambda: [one for one in old.server._websockets._protocols if one._connection.closing])
    old.drain(None)
    old.drain(heir())
    assert [answer(socket)[0] for socket in sockets] == [1001, 1001]
    old.wait_until_drained()


def test_who_does_not_go_is_cut_off(serve):
    async def talk(receive, send):
        await accept(receive, send)
        await asyncio.Event().wait()

    worker = serve(App(talk), drain_timeout=0.3)
    socket = Socket.open(worker)
    worker.drain()
    assert socket.closed()[0] == 1001
    assert socket.client.is_over()
    worker.wait_until_drained()
    assert (
        "workers.drain_timeout has passed: 1 connections are cut off, 1 calls are left" in worker.log.texts()
    )


def test_connections_and_requests_are_counted(serve):
    worker = serve(App(echo))
    sockets = [Socket.open(worker) for _ in range(3)]
    assert worker.call(lambda: (worker.server.in_flight, worker.server.requests)) == (0, 3)
    assert worker.call(lambda: len(worker.server._websockets)) == 3
    for socket in sockets:
        socket.close()
    worker.wait_for(lambda: not len(worker.server._websockets))
    assert worker.call(lambda: worker.server._connections) == 0


def test_a_drain_over_no_time_closes_all(pair):
    old, _, heir = pair(
        {"application": App(echo), "workers": {"websocket_drain": 0.0}}, {"application": App(echo)}
    )
    sockets = [Socket.open(old) for _ in range(3)]
    old.drain(heir())
    deadline = time.monotonic() + TIMEOUT
    assert [answer(socket)[0] for socket in sockets] == [1012] * 3
    assert time.monotonic() < deadline
    old.wait_until_drained()
