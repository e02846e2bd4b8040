"""What a WebSocket handshake means to an ASGI application.

https://asgi.readthedocs.io/en/stable/specs/www.html#websocket
"""

from __future__ import annotations

from typing import Any

_SCHEMES = {"http": "ws", "https": "wss"}
_OF_HTTP = "http.response."


def websocket_scope(scope: dict[str, Any], subprotocols: list[str]) -> dict[str, Any]:
    """Return the `websocket` connection scope, made from the `http` one of the same request."""
    scope["type"] = "websocket"
    scope["scheme"] = _SCHEMES[scope["scheme"]]
    scope["subprotocols"] = subprotocols
    del scope["method"]
    # What is said of the connection itself is true of this one as well.
    extensions = {name: said for name, said in scope["extensions"].items() if not name.startswith(_OF_HTTP)}
    scope["extensions"] = {**extensions, "websocket.http.response": {}}
    return scope
