"""Applications that say where a request comes from, by what they are told: the same in both interfaces."""

from __future__ import annotations

import json


def wsgi(environ, start_response):
    credentials = environ.get("sdserve.peer_credentials")
    report = {
        "client": [environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"] or 0)],
        "server": [environ["SERVER_NAME"], environ["SERVER_PORT"]],
        "scheme": environ["wsgi.url_scheme"],
        "root_path": environ["SCRIPT_NAME"],
        "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"],
        "host": environ.get("HTTP_HOST"),
        "uid": credentials and credentials.uid,
        "pid": credentials and credentials.pid,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(report).encode()]


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    host, port = scope["server"]
    credentials = scope["extensions"].get("sdserve.peer_credentials", {})
    report = {
        "client": list(scope["client"] or ("", 0)),
        "server": ["localhost", "80"] if port is None else [host, str(port)],
        "scheme": scope["scheme"],
        "root_path": scope["root_path"],
        "path": scope["path"],
        "host": dict(scope["headers"]).get(b"host", b"").decode(),
        "uid": credentials.get("uid"),
        "pid": credentials.get("pid"),
    }
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(report).encode()})


async def websocket(scope, receive, send):
    """Says who the client is, and then what the client says."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    report = {"client": list(scope["client"]), "scheme": scope["scheme"]}
    await send({"type": "websocket.send", "text": json.dumps(report)})
    while (message := await receive())["type"] == "websocket.receive":
        await send(
            {key: value for key, value in message.items() if key != "type"} | {"type": "websocket.send"}
        )
