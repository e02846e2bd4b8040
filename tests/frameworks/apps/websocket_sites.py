"""The same three WebSockets written with Starlette and with FastAPI; `websocket_quart` has Quart's.

WS   /echo     sends back what it gets; takes the subprotocol `echo.v1` if that is offered
WS   /close    closes with the code and the reason that the next message has: `4000 because`
WS   /deny     answers 401 with a body, and no WebSocket
GET  /serving  the pid of the worker
"""

from __future__ import annotations

from fastapi import FastAPI
from fastapi import WebSocket as FastAPIWebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.frameworks.apps.websocket_plain import DENIAL, chosen

# Starlette, and FastAPI with its WebSocket


async def starlette_echo(socket: WebSocket):
    await socket.accept(subprotocol=chosen(socket.scope["subprotocols"]), headers=[(b"x-site", b"echo")])
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await socket.send_text(message["text"])
        else:
            await socket.send_bytes(message["bytes"])


async def starlette_close(socket: WebSocket):
    await socket.accept()
    code, _, reason = (await socket.receive_text()).partition(" ")
    await socket.close(int(code), reason)


async def starlette_deny(socket: WebSocket):
    await socket.send_denial_response(PlainTextResponse(DENIAL, 401))


starlette_app = Starlette(
    routes=[
        WebSocketRoute("/echo", starlette_echo),
        WebSocketRoute("/close", starlette_close),
        WebSocketRoute("/deny", starlette_deny),
    ]
)

fastapi_app = FastAPI()


@fastapi_app.websocket("/echo")
async def fastapi_echo(socket: FastAPIWebSocket):
    await socket.accept(subprotocol=chosen(socket.scope["subprotocols"]), headers=[(b"x-site", b"echo")])
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if "text" in message:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return


fastapi_app.websocket("/close")(starlette_close)
fastapi_app.websocket("/deny")(starlette_deny)
