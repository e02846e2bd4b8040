"""The first request of a worker, from itself: what an application does once is done before a client waits.

It takes the whole way, HTTP over a socket, so that it is answered as any other.
"""

from __future__ import annotations

import asyncio
import socket

from sdserve.config.model import Listener
from sdserve.errors import BootError
from sdserve.worker.server import Server

_FIELDS = ("Host: localhost", "User-Agent: sdserve-warmup", "Connection: close")
_LISTENER = Listener(name="warmup")
_SHOWN = 200
"""Bytes of an unwelcome answer that are told."""
_CHUNK = 64 * 1024


async def warm_up(server: Server, path: str, timeout: float) -> None:
    """Ask `server` for `path` and wait for the whole answer, at most `timeout` seconds.

    BootError unless its status is 2xx or 3xx.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    server.adopt(theirs, _LISTENER)
    request = "\r\n".join([f"GET {path} HTTP/1.1", *_FIELDS, "", ""])
    try:
        async with asyncio.timeout(timeout):
            beginning = await _ask(ours, request.encode("ascii"))
    except TimeoutError:
        raise BootError(f"reload.warmup_path: {path} was not answered within {timeout:.1f} s") from None
    except OSError as error:
        raise BootError(f"reload.warmup_path: {path} was not answered: {error}") from None
    finally:
        ours.close()
    status = beginning[9:12]
    if status[:1] not in (b"2", b"3"):
        body = beginning.partition(b"\r\n\r\n")[2][:_SHOWN].decode("utf-8", "replace").strip()
        said = status.decode("ascii", "replace") or "nothing"
        raise BootError(f"reload.warmup_path: {path} was answered with {said}: {body}")


async def _ask(connected: socket.socket, request: bytes) -> bytes:
    """Send the request, read the answer to its end and return how it began."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connected, request)
    beginning = b""
    while data := await loop.sock_recv(connected, _CHUNK):
        if len(beginning) < _CHUNK:
            beginning += data
    return beginning
