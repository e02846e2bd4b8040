"""What is abused: `/` for the canary, `/state` about the process, and answers that take long or are large.

The same for both interfaces; only the ways to wait differ.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time

PART = b"x" * 65536
LARGE = 512
"""Parts of the answer at /large: 32 MiB."""
STREAM = 2000
"""Parts of the endless answer at /stream, should nobody end it."""
PAUSE = 0.01
"""Seconds between two parts of /stream, and that /work takes."""


def state(tasks):
    gc.collect()
    return json.dumps({"pid": os.getpid(), "tasks": tasks, "objects": len(gc.get_objects())}).encode()


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    size = 0
    while data := environ["wsgi.input"].read(65536):
        size += len(data)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/large":
        return (PART for _ in range(LARGE))
    if path == "/stream":
        return stream()
    if path == "/work":
        time.sleep(PAUSE)
    return [state(0) if path == "/state" else b"%d" % size]


def stream():
    for _ in range(STREAM):
        time.sleep(PAUSE / 100)
        yield b"part"


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    path = scope["path"]
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if path in ("/large", "/stream"):
        await send_parts(path, send)
        return
    if path == "/work":
        await asyncio.sleep(PAUSE)
    body = state(len(asyncio.all_tasks())) if path == "/state" else b"%d" % size
    await send({"type": "http.response.body", "body": body})


async def send_parts(path, send):
    """Until the client has gone, which `send` tells by an OSError."""
    for _ in range(LARGE if path == "/large" else STREAM):
        if path == "/stream":
            await asyncio.sleep(PAUSE)
        body = PART if path == "/large" else b"part"
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})
