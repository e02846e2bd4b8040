"""The ASGI twin of `mix_wsgi`, with a lifespan."""

import asyncio
import os
from pathlib import Path
from urllib.parse import parse_qsl

RELEASE = Path(__file__).resolve().parent.name


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    arguments = dict(parse_qsl(scope["query_string"].decode()))
    number = arguments["n"].encode()
    fields = [
        (b"content-type", b"application/octet-stream"),
        (b"x-number", number),
        (b"x-release", RELEASE.encode()),
        (b"x-slot", os.environ["SDSERVE_SLOT"].encode()),
        (b"x-pid", b"%d" % os.getpid()),
    ]
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await stream(send, number, int(arguments["pieces"]), int(arguments["ms"]) / 1000)
        return
    status, body = await VIEWS.get(scope["path"], not_found)(receive, number, arguments)
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def get(receive, number, arguments):
    return 200, b"%s\n" % number


async def echo(receive, number, arguments):
    body, more = [], True
    while more:
        message = await receive()
        body.append(message.get("body", b""))
        more = message.get("more_body", False)
    return 200, b"".join(body)


async def slow(receive, number, arguments):
    await asyncio.sleep(int(arguments["ms"]) / 1000)
    return 200, b"%s\n" % number


async def stream(send, number, count, pause):
    for piece in range(count):
        if pause:
            await asyncio.sleep(pause)
        body = b"%s %d\n" % (number, piece)
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def not_found(receive, number, arguments):
    return 404, b""


VIEWS = {"/get": get, "/echo": echo, "/slow": slow}
