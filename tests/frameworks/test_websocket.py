"""WebSockets of real frameworks with real clients: the `websockets` library's and aiohttp's.

No message of no bytes: Quart, which asks for `bytes or text`, takes it for a text that is not there.
"""

from __future__ import annotations

import asyncio
import signal
import socket

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.frameworks.apps.websocket_plain import DENIAL, SUBPROTOCOL
from tests.serving import TIMEOUT, serve

APPS = "tests.frameworks.apps"
SITES = ["starlette", "fastapi", "quart"]
ASYNCIO = {"workers.loop": "asyncio"}
LONG = "äöü" * 100_000


@pytest.fixture(scope="module", params=[*SITES, "starlette-asyncio"])
def site(request):
    name, _, loop = request.param.partition("-")
    application = "websocket_quart:app" if name == "quart" else f"websocket_sites:{name}_app"
    with serve(f"{APPS}.{application}", settings=ASYNCIO if loop else None) as server:
        yield server


def url(server, path):
    host, port = server.address
    return f"ws://{host}:{port}{path}"


def open_socket(server, path="/echo", **options):
    return connect(url(server, path), open_timeout=TIMEOUT, close_timeout=TIMEOUT, **options)


# The client of the websockets library


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_come_back(site, compression):
    with open_socket(site, compression=compression) as client:
        assert client.response.headers["x-site"] == "echo"
        assert ("Sec-WebSocket-Extensions" in client.response.headers) == (compression is not None)
        for message in ("hello", "", "ä" * 200, LONG, b"bytes", bytes(range(256)) * 1000):
            client.send(message)
            assert client.recv(TIMEOUT) == message


def test_a_message_in_fragments_comes_back_whole(site):
    with open_socket(site) as client:
        client.send(part for part in ("a", "b" * 70_000, "", "c"))
        assert client.recv(TIMEOUT) == "a" + "b" * 70_000 + "c"


def test_a_ping_is_answered(site):
    with open_socket(site) as client:
        assert client.ping(b"there?").wait(TIMEOUT)


def test_the_subprotocol_is_agreed_on(site):
    with open_socket(site, subprotocols=["other", SUBPROTOCOL]) as client:
        assert client.subprotocol == SUBPROTOCOL
    with open_socket(site) as client:
        assert client.subprotocol is None


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4000, "because"), (1011, "ä" * 60)])
def test_the_application_closes_with_a_code_and_a_reason(site, code, reason):
    with open_socket(site, "/close") as client:
        client.send(f"{code} {reason}".rstrip())
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(TIMEOUT)
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    assert caught.value.sent.code == code


def test_a_handshake_is_denied_with_a_body(site):
    with pytest.raises(InvalidStatus) as caught:
        open_socket(site, "/deny")
    assert caught.value.response.status_code == 401
    assert caught.value.response.body.decode() == DENIAL


def test_an_unknown_path_is_no_websocket(site):
    with pytest.raises(InvalidStatus) as caught:
        open_socket(site, "/nowhere")
    assert caught.value.response.status_code in (403, 404)


def test_over_a_unix_socket():
    with serve(f"{APPS}.websocket_plain:app", unix=True) as server:
        connected = server.connect()
        assert connected.family == socket.AF_UNIX
        with connect("ws://localhost/echo", sock=connected, open_timeout=TIMEOUT) as client:
            client.send("hello")
            assert client.recv(TIMEOUT) == "hello"


# aiohttp's client


def with_aiohttp(server, talk, path="/echo", **options):
    async def main():
        timeout = aiohttp.ClientWSTimeout(ws_receive=TIMEOUT, ws_close=TIMEOUT)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url(server, path), timeout=timeout, **options) as client,
        ):
            await talk(client)

    asyncio.run(main())


@pytest.mark.parametrize("compress", [0, 15, 9])
def test_messages_come_back_to_aiohttp(site, compress):
    async def talk(client):
        assert (client.compress > 0) == (compress > 0)
        for text in ("hello", "", "ä" * 200, LONG):
            await client.send_str(text)
            assert await client.receive_str() == text
        for data in (b"bytes", bytes(range(256)) * 1000):
            await client.send_bytes(data)
            assert await client.receive_bytes() == data
        await client.ping()
        await client.close(code=4001, message=b"enough")
        assert client.close_code == 4001

    with_aiohttp(site, talk, compress=compress)


def test_aiohttp_is_told_the_code(site):
    async def talk(client):
        await client.send_str("4000 because")
        message = await client.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert (message.data, message.extra) == (4000, "because")

    with_aiohttp(site, talk, "/close")


# A reload


@pytest.mark.slow
def test_a_reload_closes_them_one_by_one_and_new_ones_get_new_code():
    settings = {"workers.websocket_drain": "1s"}
    with serve(f"{APPS}.websocket_plain:app", workers=2, settings=settings) as server:

        async def stay(session, ends):
            """One client that comes back, at once, as often as it is closed."""
            while len(ends) < 1:
                async with session.ws_connect(url(server, "/echo")) as client:
                    await client.send_str("here")
                    assert await client.receive_str() == "here"
                    opened.set()
                    message = await client.receive(TIMEOUT)
                    assert message.type is aiohttp.WSMsgType.CLOSE, message
                    ends.append((message.data, loop.time()))
            async with session.ws_connect(url(server, "/echo")) as client:
                await client.send_str("back")
                assert await client.receive_str() == "back"

        async def main():
            nonlocal loop
            loop = asyncio.get_running_loop()
            async with aiohttp.ClientSession() as session:
                before = await (await session.get(url(server, "/").replace("ws:", "http:"))).text()
                ends = [[] for _ in range(20)]
                clients = [asyncio.ensure_future(stay(session, end)) for end in ends]
                await opened.wait()
                server.process.send_signal(signal.SIGHUP)
                await asyncio.wait_for(asyncio.gather(*clients), TIMEOUT)
                after = await (await session.get(url(server, "/").replace("ws:", "http:"))).text()
            assert before != after
            return [code for end in ends for code, _ in end], [at for end in ends for _, at in end]

        opened = asyncio.Event()
        loop = None
        codes, times = asyncio.run(main())
        assert set(codes) == {1012}
        assert max(times) - min(times) > 0.5
