"""Answers that several tests let their applications give, and how an application tells a test what it saw."""

from __future__ import annotations

import queue
import threading

from tests.worker.serving import TIMEOUT

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Told:
    """What an application tells the test, in order; `next` waits for it."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def __call__(self, value):
        self._queue.put(value)

    def next(self):
        return self._queue.get(timeout=TIMEOUT)


# WSGI

PLAIN = [("Content-Type", "text/plain")]


def wsgi_hello(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"hello"]


class Parts:
    """An iterable that tells when it is closed."""

    def __init__(self, parts):
        self._parts = iter(parts)
        self.closed = threading.Event()
        self.closes = 0

    def __iter__(self):
        return self._parts

    def close(self):
        self.closes += 1
        self.closed.set()

    def was_closed_once(self):
        return self.closed.wait(TIMEOUT) and self.closes == 1


# ASGI

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def http_only(application):
    """The application without a lifespan."""

    async def wrapped(scope, receive, send):
        assert scope["type"] == "http"
        await application(scope, receive, send)

    return wrapped


@http_only
async def asgi_hello(scope, receive, send):
    await send(START)
    await send(body(b"hello"))
