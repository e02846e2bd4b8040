"""Many clients at once that do what no client should, from one thread."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from math import inf

from tests.serving import TIMEOUT, Server
from tests.system.waiting import wait_for


class Crowd:
    """Connections to one server. Nothing here waits, but for `until_*`."""

    def __init__(self, server: Server, *, receive_buffer: int = 0) -> None:
        self._receive_buffer = receive_buffer
        self._server = server
        self.received: dict[socket.socket, bytes] = {}
        """What each has been sent; the open ones and those that `until_over` has seen the end of."""
        self._open: set[socket.socket] = set()

    @classmethod
    @contextmanager
    def of(cls, server: Server, size: int, data: bytes = b"", *, receive_buffer: int = 0) -> Iterator[Crowd]:
        """So many, each of which sends `data` at once; whoever is left at the end of the block is reset."""
        crowd = cls(server, receive_buffer=receive_buffer)
        try:
            crowd.grow(size, data)
            yield crowd
        finally:
            crowd.reset()

    def _connect(self) -> socket.socket:
        address = self._server.address
        client = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self._open.add(client)
        self.received[client] = b""
        if self._receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        # Without a time-out: connecting to a unix socket whose backlog is full would fail instead of waiting.
        client.connect(address)
        client.setblocking(False)
        return client

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def answers(self) -> list[bytes]:
        return list(self.received.values())

    def send(self, data: bytes) -> None:
        """Each sends this, as far as the server takes it; whoever it has closed is left alone."""
        for client in self._open:
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                client.send(data)

    def send_all(self, data: bytes) -> None:
        """Each sends all of this; what comes back meanwhile is read, so that nobody waits for the other."""
        rest = dict.fromkeys(self._open, data)

        def sent() -> bool:
            for client in list(rest):
                with suppress(BlockingIOError):
                    rest[client] = rest[client][client.send(rest[client]) :]
                if not rest[client]:
                    del rest[client]
            self._read_now()
            return not rest

        wait_for(sent, what="all is sent", seconds=TIMEOUT)

    def grow(self, size: int, data: bytes = b"") -> None:
        """So many more come, and each sends `data` at once."""
        for _ in range(size):
            client = self._connect()
            if data:
                client.send(data)

    def end(self) -> None:
        """Each sends no more, but reads on."""
        for client in self._open:
            with suppress(OSError):
                client.shutdown(socket.SHUT_WR)

    def until_received(self, size: int) -> None:
        """Return when each that is open has been sent `size` bytes in all; not much more is read."""
        wait_for(
            lambda: self._read_now(size) or all(len(self.received[client]) >= size for client in self._open),
            what="everybody has received enough",
            seconds=TIMEOUT,
        )

    def until_over(self, drip: Iterable[bytes] = ()) -> None:
        """Return when the server has closed each; meanwhile each sends the next of `drip` now and then."""
        drops = iter(drip)

        def over() -> bool:
            for drop in drops:
                self.send(drop)
                break
            self._read_now()
            return not self._open

        wait_for(over, what="the server has closed all connections", seconds=TIMEOUT)

    def _read_now(self, most: float = inf) -> None:
        """Take what is there, from those that have not received `most` bytes yet."""
        for client in list(self._open):
            try:
                while len(self.received[client]) < most:
                    data = client.recv(65536)
                    if not data:
                        break
                    self.received[client] += data
                else:
                    continue
            except BlockingIOError:
                continue
            except ConnectionResetError:
                pass
            self._open.discard(client)
            client.close()

    def leave(self) -> None:
        """All close in order."""
        while self._open:
            self._open.pop().close()

    def reset(self) -> None:
        """All leave without good-bye."""
        for client in self._open:
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()
