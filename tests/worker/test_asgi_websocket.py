"""What an application sees of a WebSocket, and what it can do: over raw connections, on both event loops."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from sdserve.errors import ClientDisconnectedError
from tests.core.websocket.frames import BINARY, PING, PONG, TEXT, close, frame
from tests.worker.serving import REQUEST
from tests.worker.websocket_app import App, accept, echo
from tests.worker.websocket_client import Socket, handshake

# Messages


def test_messages_come_back(serve):
    app = App(echo)
    socket = Socket.open(serve(app))
    socket.text("héllo")
    assert socket.frame() == (0x81, "héllo".encode())
    socket.send(BINARY, b"\xff" * 70_000)
    assert socket.frame() == (0x82, b"\xff" * 70_000)
    socket.send(TEXT, b"in ", fin=False)
    socket.send(PING, b"ping")
    assert socket.frame() == (0x80 | PONG, b"ping")
    socket.send(0, b"parts")
    assert socket.message() == b"in parts"
    assert socket.close(1000, b"bye") == (1000, "")
    assert app.last == {"type": "websocket.disconnect", "code": 1000, "reason": "bye"}
    assert app.received[1] == {"type": "websocket.receive", "text": "héllo"}


def test_the_scope_is_that_of_the_request(serve):
    app = App(echo)
    socket = Socket.open(serve(app), "/chat?room=1", "Sec-WebSocket-Protocol: v1, v2")
    address = socket.client.socket.getsockname()
    socket.close()
    app.wait()
    (scope,) = app.scopes
    assert (scope["path"], scope["query_string"], scope["scheme"]) == ("/chat", b"room=1", "ws")
    assert scope["subprotocols"] == ["v1", "v2"]
    assert (b"upgrade", b"websocket") in scope["headers"]
    assert scope["client"] == address


def test_over_a_unix_socket(serve, tmp_path):
    socket = Socket.open(serve(App(echo), unix=str(tmp_path / "socket")))
    socket.text("hello")
    assert socket.message() == b"hello"


@pytest.mark.parametrize("parser", ["strict", "h11"])
def test_bytes_that_come_with_the_handshake_are_not_lost(serve, parser):
    client = serve(App(echo), parser=parser).connect()
    client.send(handshake() + frame(TEXT, b"early") + frame(TEXT, b"bird"))
    assert client.head()[0] == 101
    socket = Socket(client)
    assert (socket.message(), socket.message()) == (b"early", b"bird")
    socket.close()


def test_the_application_chooses_subprotocol_and_headers(serve):
    async def talk(receive, send):
        await accept(receive, send, subprotocol="v2", headers=[(b"x-own", b"1")])

    fields = Socket.open(serve(App(talk)), "/", "Sec-WebSocket-Protocol: v1, v2").fields
    assert fields["sec-websocket-protocol"] == "v2"
    assert fields["x-own"] == "1"
    assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert fields["server"] == "sdserve"


def test_compression_is_agreed_to_unless_it_is_off(serve):
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    socket = Socket.open(serve(App(echo)), "/", offer)
    assert socket.fields["sec-websocket-extensions"].startswith("permessage-deflate")
    socket.send(TEXT, b"x" * 1000)
    first, payload = socket.frame()
    assert first == 0xC1
    assert len(payload) < 100
    off = Socket.open(serve(App(echo), websocket={"compression": False}), "/", offer)
    assert "sec-websocket-extensions" not in off.fields


# The handshake


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec_WebSocket_Key": "x"}, 400),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
    ],
)
def test_a_bad_handshake_is_refused_without_a_call(serve, changes, status):
    app = App(echo)
    worker = serve(app)
    client = worker.connect()
    response = client.request(handshake(**changes))
    assert response.status == status
    if status == 426:
        assert response.fields["sec-websocket-version"] == "13"
        assert (response.fields["upgrade"], response.fields["connection"]) == ("websocket", "upgrade")
    assert client.request().body == b"ok"  # the connection is as good as before
    assert app.scopes == []
    assert any(f"with {status}: " in text for text in worker.log.texts(logging.INFO))


def test_http_1_0_and_other_upgrades_are_plain_requests(serve):
    worker = serve(App(echo))
    assert worker.request(handshake().replace(b"HTTP/1.1", b"HTTP/1.0")).body == b"ok"
    assert worker.request(handshake(Upgrade="h2c")).body == b"ok"


def test_a_close_in_place_of_an_accept_is_403(serve):
    async def talk(receive, send):
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        await receive()

    app = App(talk)
    worker = serve(app)
    client = worker.connect()
    response = client.request(handshake())
    assert (response.status, response.body) == (403, b"Forbidden\n")
    assert app.last == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert client.request().body == b"ok"
    assert worker.errors() == []


def test_a_handshake_is_denied_with_a_response(serve):
    async def talk(receive, send):
        await receive()
        await send(
            {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"because")]}
        )
        await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you"})
        assert (await receive())["type"] == "websocket.disconnect"

    app = App(talk)
    worker = serve(app)
    assert worker.connect().request(handshake()).body == b"who are you"
    app.ended.clear()
    response = worker.request(handshake())
    assert (response.status, response.fields["x-why"], response.body) == (401, "because", b"who are you")
    app.wait()
    assert worker.errors() == []


def test_without_an_answer_it_is_500(serve):
    async def talk(receive, send):
        await receive()

    worker = serve(App(talk))
    assert worker.request(handshake("/x")).status == 500
    assert worker.errors() == ["WebSocket /x: the application returned without an answer to the handshake"]


def test_half_a_denial_is_cut(serve):
    async def talk(receive, send):
        await send(
            {"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-length", b"9")]}
        )
        await send({"type": "websocket.http.response.body", "body": b"half", "more_body": True})

    worker = serve(App(talk))
    client = worker.connect()
    client.send(handshake())
    assert client.rest_of_cut().endswith(b"half")
    assert worker.errors() == ["WebSocket /: the application returned without an answer to the handshake"]


def test_a_client_that_leaves_before_the_answer(serve):
    go_on = asyncio.Event()

    async def talk(receive, send):
        await receive()
        assert (await receive())["code"] == 1006
        await go_on.wait()
        await send({"type": "websocket.accept"})

    app = App(talk)
    worker = serve(app)
    client = worker.connect()
    client.send(handshake())
    worker.wait_for(lambda: app.received)
    client.reset()
    worker.wait_for(lambda: len(app.received) == 2)
    worker.call(go_on.set)
    app.wait()
    assert isinstance(app.raised[0], ClientDisconnectedError)
    assert worker.errors() == []


def test_an_answer_that_takes_too_long_is_504(serve):
    async def talk(receive, send):
        await asyncio.Event().wait()

    worker = serve(App(talk), request_timeout=0.2)
    assert worker.request(handshake()).status == 504
    (text,) = worker.errors()
    assert "did not answer the handshake within" in text


def test_a_call_that_does_not_let_itself_be_cancelled_is_answered_for(serve):
    async def talk(receive, send):
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                app.received.append("cancelled")
                if app.received.count("cancelled") == 2:
                    raise

    app = App(talk)
    worker = serve(app, request_timeout=0.2, drain_timeout=0.2)
    assert worker.request(handshake()).status == 504
    assert app.received == ["cancelled"]


def test_an_accepted_one_may_last_longer_than_any_request(serve):
    worker = serve(App(echo), request_timeout=0.1)
    socket = Socket.open(worker)
    for _ in range(8):
        socket.text("still there")
        assert socket.message() == b"still there"
        threading.Event().wait(0.05)
    assert worker.log.texts(logging.ERROR) == []


# The end


@pytest.mark.parametrize(("code", "told"), [(None, 1005), (1000, 1000), (1001, 1001), (4321, 4321)])
def test_the_application_is_told_how_the_client_closed(serve, code, told):
    app = App(echo)
    socket = Socket.open(serve(app))
    assert socket.close(code) == (code, "")
    assert app.last["code"] == told


def test_messages_before_the_close_are_received_first(serve):
    async def talk(receive, send):
        await accept(receive, send)
        while (await receive())["type"] == "websocket.receive":
            pass

    app = App(talk)
    socket = Socket.open(serve(app))
    socket.client.send(frame(TEXT, b"a") + frame(TEXT, b"b") + close())
    app.wait()
    assert [message.get("text") for message in app.received[1:3]] == ["a", "b"]
    assert app.last["code"] == 1000


@pytest.mark.parametrize("way", ["reset", "end"])
def test_a_connection_that_is_lost_is_1006(serve, way):
    app = App(echo)
    socket = Socket.open(serve(app))
    getattr(socket.client, way)()
    assert app.last == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, (1000, "")),
        ({"code": 4000, "reason": "because"}, (4000, "because")),
        ({"code": None, "reason": None}, (1000, "")),
        ({"reason": "x" * 200}, (1000, "x" * 123)),
    ],
)
def test_the_application_closes(serve, message, expected):
    async def talk(receive, send):
        await accept(receive, send)
        await send({"type": "websocket.close", **message})
        assert (await receive())["code"] == 4444

    app = App(talk)
    worker = serve(app)
    socket = Socket.open(worker)
    assert socket.closed() == expected
    socket.text("ignored")
    socket.client.send(close(4444))
    assert socket.client.is_over()
    app.wait()
    assert app.raised == []
    assert worker.errors() == []


def test_a_client_that_does_not_answer_a_close_is_cut_off(serve):
    async def talk(receive, send):
        await accept(receive, send)
        await send({"type": "websocket.close"})
        await receive()

    app = App(talk)
    socket = Socket.open(serve(app, websocket={"close_timeout": 0.2}))
    assert socket.closed() == (1000, "")
    assert socket.client.is_over()
    assert app.last["code"] == 1006


@pytest.mark.parametrize(("fails", "code"), [(False, 1000), (True, 1011)])
def test_the_end_of_the_call_closes(serve, fails, code):
    async def talk(receive, send):
        await accept(receive, send)
        if fails:
            raise ValueError("deliberate")

    worker = serve(App(talk))
    socket = Socket.open(worker, "/x")
    assert socket.closed() == (code, "")
    assert worker.errors() == (["WebSocket /x: the application raised"] if fails else [])


def test_system_exit_ends_the_call_and_not_the_worker(serve):
    async def talk(receive, send):
        await accept(receive, send)
        raise SystemExit(1)

    worker = serve(App(talk))
    assert Socket.open(worker).closed() == (1011, "")
    assert worker.request().body == b"ok"


def test_who_sends_to_a_client_that_has_gone_is_told(serve):
    async def talk(receive, send):
        await accept(receive, send)
        assert (await receive())["type"] == "websocket.disconnect"
        with pytest.raises(OSError, match="disconnected"):
            await send({"type": "websocket.close"})
        await send({"type": "websocket.send", "text": "x"})

    app = App(talk)
    worker = serve(app)
    Socket.open(worker).close()
    app.wait()
    assert isinstance(app.raised[0], ClientDisconnectedError)
    assert worker.errors() == []  # that is how an application ends whose client has left


def test_who_only_sends_finds_out(serve):
    async def talk(receive, send):
        await accept(receive, send)
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 10_000})

    app = App(talk)
    socket = Socket.open(serve(app))
    assert socket.message()
    socket.client.reset()
    app.wait()
    assert isinstance(app.raised[0], ClientDisconnectedError)


def test_the_access_log_has_a_line_for_the_handshake(serve):
    worker = serve(App(echo), access=True)
    socket = Socket.open(worker, "/chat")
    socket.text("x")
    socket.message()
    (line,) = [text for text in worker.log.texts() if "/chat" in text]
    assert '"GET /chat HTTP/1.1" 101 0 ' in line
    assert worker.request(REQUEST).status == 200
