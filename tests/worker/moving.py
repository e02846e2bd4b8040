"""What tests of connections that move have in common: applications that say who they are, and mail."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

from sdserve.core.wire.moved import Moved, encode_moved
from sdserve.host import mailbox
from tests.worker.serving import REQUEST, TIMEOUT


def named(word):
    """A WSGI application that says who answers, and what was asked."""

    def application(environ, start_response):
        start_response("200 OK", [])
        return [word + environ["PATH_INFO"].encode() + environ["wsgi.input"].read()]

    return application


def named_async(word):
    """The same for ASGI."""

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": word + scope["path"].encode() + body})

    return application


class Held:
    """An ASGI application that answers `old` when it is let."""

    def __init__(self, size=0):
        self.reached = threading.Event()
        self.go_on = asyncio.Event()
        self.size = size

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        self.reached.set()
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"old" + b"x" * self.size})


def get(path=b"/"):
    return REQUEST.replace(b"/", path, 1)


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def fill(box):
    """Fill a mailbox with connections; how many those are."""
    packet = encode_moved(Moved(pending=b"x" * 10_000))
    count = 0
    with socket.socket() as connection:
        while True:
            try:
                mailbox.send(box.inlet, packet, connection.fileno())
            except BlockingIOError:
                return count
            count += 1
