"""A WebSocket without a framework that echoes texts, and a page with the pid of the worker."""

from __future__ import annotations

import os

SUBPROTOCOL = "echo.v1"
DENIAL = "who are you?"


def chosen(offered):
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
        return
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
