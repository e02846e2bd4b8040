"""What an application may not send over a WebSocket: a line in the log, and an end that the client sees."""

from __future__ import annotations

import asyncio

import pytest

from sdserve.errors import LocalProtocolError
from tests.worker.serving import TIMEOUT
from tests.worker.websocket_app import App, accept
from tests.worker.websocket_client import Socket, handshake


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [{"type": "websocket.send", "text": "x"}],
            "the application sent websocket.send before websocket.accept",
        ),
        (
            [{"type": "websocket.accept", "subprotocol": "x"}],
            "a subprotocol that the client does not offer: 'x'",
        ),
        ([{"type": "websocket.accept", "headers": {"a": "b"}}], "headers that are no list of pairs but dict"),
        ([{"type": "http.response.start", "status": 200}], "a message that a WebSocket does not have"),
        ([{"type": "websocket.http.response.body"}], "websocket.http.response.body before websocket.accept"),
        ([{"type": "websocket.http.response.start"}], "websocket.http.response.start with no status"),
        (
            [{"type": "websocket.http.response.start", "status": 401}, {"type": "websocket.accept"}],
            "websocket.accept in the middle of a websocket.http.response",
        ),
        ([{}], "a message without a type"),
        (["accept"], "a message that is no dict but str"),
    ],
)
def test_a_mistake_before_the_answer_is_500_and_one_line(serve, messages, said):
    async def talk(receive, send):
        for message in messages:
            await send(message)

    app = App(talk)
    worker = serve(app)
    assert worker.request(handshake()).status == 500
    (text,) = worker.errors()
    assert said in text
    assert isinstance(app.raised[0], LocalProtocolError)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"type": "websocket.accept"}, "websocket.accept after websocket.accept"),
        ({"type": "websocket.send"}, "websocket.send with neither text nor bytes"),
        ({"type": "websocket.send", "text": b"x"}, "a text that is no str but bytes"),
        ({"type": "websocket.send", "bytes": "x"}, "bytes that are none but str"),
        ({"type": "websocket.send", "text": "\ud800"}, "a text that has no UTF-8"),
        ({"type": "websocket.close", "code": 1005}, "1005, which is no close code"),
        ({"type": "websocket.close", "code": "x"}, "websocket.close with a code that is no int but str"),
        ({"type": "http.response.body"}, "a message that a WebSocket does not have"),
    ],
)
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_mistake_after_it_is_1011_and_one_line(serve, message, said, swallowed):
    async def talk(receive, send):
        await accept(receive, send)
        try:
            await send(message)
        except LocalProtocolError:
            if not swallowed:
                raise

    worker = serve(App(talk))
    assert Socket.open(worker).closed() == (1011, "")
    (text,) = worker.errors()
    assert said in text


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"type": "websocket.close"}, "after the handshake was denied"),
        ({"type": "websocket.accept"}, "after websocket.close"),
    ],
)
def test_nothing_is_sent_after_the_end(serve, first, said):
    async def talk(receive, send):
        await send(first)
        if first["type"] == "websocket.accept":
            await send({"type": "websocket.close"})
        await send({"type": "websocket.accept"})

    app = App(talk)
    worker = serve(app)
    client = worker.connect()
    client.send(handshake())
    assert client.head()[0] in (101, 403)
    app.wait()
    (text,) = worker.errors()
    assert text.endswith(said)


def test_a_mistake_of_something_left_behind_is_logged(serve):
    sends = []

    async def talk(receive, send):
        await accept(receive, send)
        sends.append(send)

    app = App(talk)
    worker = serve(app)
    Socket.open(worker).close()
    app.wait()

    async def later():
        with pytest.raises(LocalProtocolError):
            await sends[0]({"type": "nonsense"})

    asyncio.run_coroutine_threadsafe(later(), worker.loop).result(TIMEOUT)
    (text,) = worker.errors()
    assert "a message that a WebSocket does not have: 'nonsense'" in text
