"""One HTTP request over a given connection, its answer read when the test wants it."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


class Exchange:
    """A request that has been sent. Takes the connection; `answer` closes it."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self._client = http.client.HTTPConnection("sdserve.test")
        self._client.sock = connection
        self._client.request("GET", path, headers={"Connection": "close"})

    def answer(self) -> Answer:
        """Read the whole answer; TimeoutError or ConnectionError as the connection gives them."""
        try:
            response = self._client.getresponse()
            return Answer(response.status, response.read().decode())
        finally:
            self._client.close()
