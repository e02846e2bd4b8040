"""WebSockets with each release's own websockets library, FastAPI and zlib, through a reload."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.system.instance import Instance
from tests.system.machine import Machine

pytestmark = pytest.mark.system

SECONDS = 20.0
CLIENTS = 5


def enter(chat: Instance) -> ClientConnection:
    connected = chat.machine.connect_tcp("127.0.0.1", chat.port)
    return connect("ws://sdserve.test/chat", sock=connected, open_timeout=SECONDS, close_timeout=SECONDS)


def test_a_chat_goes_on_after_a_reload(machine: Machine) -> None:
    chat = Instance(machine, "chat")
    chat.configure("chat:app", "[workers]", "count = 1", "websocket_drain = 1s", directory="/srv/examples")
    chat.listen()
    chat.start()
    with ExitStack() as stack:
        old = [stack.enter_context(enter(chat)) for _ in range(CLIENTS)]
        text = "hello, " * 20_000
        old[0].send(text)
        assert [client.recv(SECONDS) for client in old] == [text] * CLIENTS
        machine.systemctl("reload", chat.service)
        new = stack.enter_context(enter(chat))
        new.send("anybody there?")
        assert new.recv(SECONDS) == "anybody there?"
        for client in old:
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(SECONDS)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
        new.send("still here")
        assert new.recv(SECONDS) == "still here"
