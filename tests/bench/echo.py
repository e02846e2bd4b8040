"""`python -m tests.bench.echo PORT SIZE CONNECTIONS SECONDS`: WebSocket messages that must come back.

Like wrk it sends the next message on each connection as soon as the last is back, and prints a line of JSON.
It does as little as it can, so that the server is the bottleneck: each message is one frame that was made
before, and of what comes back the length is looked at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable

import uvloop
from websockets.frames import Frame, Opcode

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2RzZXJ2ZSBiZW5jaCA6KQ==\r\n\r\n"
)
TIMEOUT = 10.0


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self, size: int, done: Callable[[float], bool]) -> None:
        """`done` is told how long each message took, and says whether another one follows."""
        payload = b"x" * size
        self.frame = Frame(Opcode.BINARY, payload).serialize(mask=True)
        self.answer = len(Frame(Opcode.BINARY, payload).serialize(mask=False))
        self.done = done
        self.head: bytes | None = b""
        self.received = 0
        self.sent = 0.0
        self.failed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if self.head is not None:
            self.head += data
            if not self.head.endswith(b"\r\n\r\n"):
                return
            self.failed = not self.head.startswith(b"HTTP/1.1 101 ")
            self.head = None
        else:
            self.received += len(data)
            if self.received < self.answer:
                return
            self.failed |= self.received > self.answer
            if not self.done(time.perf_counter() - self.sent):
                return
        self.received = 0
        self.sent = time.perf_counter()
        self.transport.write(self.frame)

    def connection_lost(self, error: Exception | None) -> None:
        self.failed = True


async def load(port: int, size: int, connections: int, seconds: int) -> dict[str, int]:
    """Keep all connections busy for that long; the result as wrk's script gives it."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    def done(took: float) -> bool:
        times.append(took)
        return time.perf_counter() < end

    clients = [
        (await loop.create_connection(lambda: Echo(size, done), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    while time.perf_counter() < end and not any(client.failed for client in clients):
        await asyncio.sleep(0.05)
    passed = time.perf_counter() - began
    times.sort()
    return {
        "requests": len(times),
        "microseconds": int(passed * 1e6),
        "p50": int(times[len(times) // 2] * 1e6) if times else 0,
        "p99": int(times[len(times) * 99 // 100] * 1e6) if times else 0,
        "socket_errors": sum(client.failed for client in clients),
        "timeouts": sum(client.sent < end - TIMEOUT for client in clients) if seconds > TIMEOUT else 0,
        "bad_statuses": 0,
    }


if __name__ == "__main__":
    print("RESULT", json.dumps(uvloop.run(load(*map(int, sys.argv[1:5])))))
