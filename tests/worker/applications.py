"""Applications that a worker process imports by name."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

STUCK = 600.0
"""Seconds; somebody has to end it."""


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/print":
        print("printed by the application")
    return [os.environ["SDSERVE_SLOT"].encode()]


def changing_wsgi():
    """An application beside which a module was imported that the test can change."""
    import changing  # noqa: F401

    return wsgi


def make_wsgi():
    return wsgi


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": os.environ["SDSERVE_SLOT"].encode()})


asked = ["nothing asked before"]


def _status(path, host, agent):
    """The status that the path names; the answer is what was asked before."""
    asked.append(f"GET {path} {host} {agent}")
    return path.strip("/"), asked[-2].encode()


def warm_wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("not warm")
    status, body = _status(environ["PATH_INFO"], environ["HTTP_HOST"], environ.get("HTTP_USER_AGENT"))
    start_response(f"{status} Such", [])
    return [body]


async def warm_asgi(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/hang":
        await asyncio.sleep(STUCK)
    headers = {name: value.decode() for name, value in scope["headers"]}
    status, body = _status(scope["path"], headers[b"host"], headers.get(b"user-agent"))
    await send({"type": "http.response.start", "status": int(status)})
    await send({"type": "http.response.body", "body": body})


async def ends_the_loop(scope, receive, send):
    """Ends the event loop in the way the path names, after the answer."""
    assert scope["type"] == "http"
    loop = asyncio.get_running_loop()
    if scope["path"] == "/exit":
        loop.call_soon(sys.exit, 7)
    elif scope["path"] == "/stop":
        loop.stop()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"still here"})


async def failing_lifespan(scope, receive, send):
    await receive()
    raise ConnectionError("no database")


def neither(*arguments):
    raise NotImplementedError


text = "this is no application"


def stuck(environ, start_response):
    """Does not get on, in the way the path names."""
    kind = environ["PATH_INFO"]
    if kind == "/sleep":
        print("asleep")
        time.sleep(STUCK)
    elif kind == "/catch":
        try:
            time.sleep(STUCK)
        except BaseException:
            start_response("200 OK", [])
            return [b"caught"]
    elif kind == "/change":
        try:
            time.sleep(STUCK)
        except BaseException as error:
            raise ValueError("something else") from error
    start_response("200 OK", [])
    if kind == "/pid":
        return [str(os.getpid()).encode()]
    return StuckParts(kind)


class StuckParts:
    def __init__(self, kind):
        self._kind = kind

    def __iter__(self):
        yield b"first"
        if self._kind == "/part":
            time.sleep(STUCK)

    def close(self):
        if self._kind == "/close":
            time.sleep(STUCK)
        elif self._kind == "/part":
            print("closed by sdserve", file=sys.stderr)


def stands_still_sync(environ, start_response):
    """Holds up the loop, in the way the path names."""
    print("still")
    stand_still(environ["PATH_INFO"])


def stand_still(kind):
    if kind == "/sleep":
        time.sleep(STUCK)
    elif kind == "/lock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    while True:
        pass


async def stands_still_async(scope, receive, send):
    """Answers never, but lets the loop turn."""
    assert scope["type"] == "http"
    print("still")
    await asyncio.sleep(STUCK)
