"""The WebSockets of `websocket_sites`, written with Quart."""

from __future__ import annotations

from quart import Quart, websocket

from tests.frameworks.apps.websocket_plain import DENIAL, chosen

app = Quart(__name__)


@app.websocket("/echo")
async def quart_echo():
    await websocket.accept(subprotocol=chosen(websocket.requested_subprotocols), headers={"x-site": "echo"})
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/close")
async def quart_close():
    code, _, reason = (await websocket.receive()).partition(" ")
    await websocket.close(int(code), reason)


@app.websocket("/deny")
async def quart_deny():
    return DENIAL, 401
