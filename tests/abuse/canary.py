"""A client that behaves, in a process of its own, and how it fares while others do not.

    python canary.py ADDRESS     # JSON: [host, port], or a path

A byte on standard input lets it ask until the next one; then it writes a line of JSON, its `Flight`.
Every other request is on a connection of its own, the others share one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

TIMEOUT = 10.0
"""Seconds for one request: the end of a hang."""
FEWEST = 30
"""Requests that one flight has at the least."""
BETWEEN = 0.002
"""Seconds between two requests: a canary is no load."""


class Canary:
    """The canary's process, as a test sees it."""

    def __init__(self, address: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextlib.contextmanager
    def flying(self) -> Iterator[Flight]:
        """Let it ask until the block ends."""
        flight = Flight([], [])
        self._order()
        try:
            yield flight
        finally:
            self._order()
            assert self._process.stdout is not None
            found = json.loads(self._process.stdout.readline())
            flight.latencies, flight.failures = found["latencies"], found["failures"]

    def _order(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.communicate(timeout=TIMEOUT)


@dataclass(slots=True)
class Flight:
    """What the canary has met."""

    latencies: list[float]
    failures: list[str]

    @property
    def median(self) -> float:
        return median(self.latencies)


def connect(address: Any) -> http.client.HTTPConnection:
    client = http.client.HTTPConnection("localhost")
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connected = socket.socket(family)
    client.sock = connected
    # Without a time-out: connecting to a unix socket whose backlog is full would fail instead of waiting.
    connected.connect(address if isinstance(address, str) else tuple(address))
    connected.settimeout(TIMEOUT)
    if family == socket.AF_INET:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/")
    answer = client.getresponse()
    body = answer.read()
    if (answer.status, body) != (200, b"0"):
        raise ValueError(f"{answer.status} {body!r}")


def fly(address: Any) -> dict[str, Any]:
    latencies: list[float] = []
    failures: list[str] = []
    lasting = None
    while len(latencies) < FEWEST or not select.select([0], [], [], BETWEEN)[0]:
        fresh = len(latencies) % 2 == 0
        client = None if fresh else lasting
        began = time.perf_counter()
        try:
            client = client or connect(address)
            ask(client)
        except (OSError, ValueError, http.client.HTTPException) as error:
            failures.append(repr(error))
            lasting = None
        else:
            if fresh:
                client.close()
            else:
                lasting = client
        latencies.append(time.perf_counter() - began)
    if lasting is not None:
        lasting.close()
    return {"latencies": latencies, "failures": failures}


def main(address: Any) -> None:
    while os.read(0, 1):
        found = fly(address)
        os.read(0, 1)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
