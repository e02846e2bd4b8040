"""The servers that the corpus is sent to, and the application that writes down what it sees.

Real listeners, real clients, in this process: so the application's record is at hand, and each case can have
the limits that it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from sdserve.core.gateway.interface import ASGI, WSGI
from tests.worker.serving import Worker


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """One request as an application sees it, its path decoded as both interfaces want it."""

    method: str
    path: bytes
    query: bytes
    version: str
    body: bytes


class Witness:
    """An application that answers every request whole, for both interfaces."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bytes]] = []
        """Method and path of every request that the application was called for."""
        self.seen: list[Seen] = []
        """Those of them whose body came whole."""

    def forget(self) -> None:
        self.begun.clear()
        self.seen.clear()

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1")
        self.begun.append((method, path))
        body = environ["wsgi.input"].read()
        query = environ["QUERY_STRING"].encode()
        self.seen.append(Seen(method, path, query, environ["SERVER_PROTOCOL"], body))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"seen"]

    async def asgi(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        method, path = scope["method"], unquote_to_bytes(scope["raw_path"])
        self.begun.append((method, path))
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append(Seen(method, path, scope["query_string"], f"HTTP/{scope['http_version']}", body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"seen"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One way of serving."""

    interface: str
    parser: str = "strict"
    unix: bool = False
    loop: str = "uvloop"

    @property
    def name(self) -> str:
        return "-".join([self.interface, "unix" if self.unix else "tcp", self.parser, self.loop])

    @contextmanager
    def serve(self, directory: Path, witness: Witness, **options: int) -> Iterator[Worker]:
        """Serve with these limits until the block ends; unix sockets lie in `directory`."""
        path = directory / f"{len(list(directory.iterdir()))}.sock"
        worker = Worker(
            witness.wsgi if self.interface == WSGI else witness.asgi,
            loop_kind=self.loop,
            interface=self.interface,
            parser=self.parser,
            unix=str(path) if self.unix else "",
            **options,
        )
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()


COMBINATIONS = [
    *(
        Combination(interface=interface, unix=unix, parser=parser)
        for interface in (WSGI, ASGI)
        for unix in (False, True)
        for parser in ("strict", "h11")
    ),
    Combination(interface=WSGI, loop="asyncio"),
    Combination(interface=ASGI, loop="asyncio"),
]

every_combination = pytest.mark.parametrize(
    "combination", COMBINATIONS, ids=[combination.name for combination in COMBINATIONS]
)
