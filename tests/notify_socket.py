"""The service manager's end of sd_notify(3), as a real socket, with a store for descriptors."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SLICE = 0.1  # seconds
_MOST = 253
"""Descriptors of one message: SCM_MAX_FD of unix(7)."""


class NotifySocket:
    """Collects what a service says of itself, and keeps the descriptors that it gives (FDSTORE=1).

    `messages` has everything received so far, in order, as (name, value): ("READY", "1").
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(b"")  # the kernel picks an abstract name: unix(7), autobind
        self.messages: list[tuple[str, str]] = []
        self._store: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    @contextmanager
    def read_all_the_time(self) -> Iterator[None]:
        """Read what comes as soon as it does, as a service manager would: few messages wait in a socket."""
        ended = threading.Event()

        def read() -> None:
            while not ended.is_set():
                select.select([self._socket], [], [], _SLICE)
                self._receive()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @property
    def address(self) -> str:
        """The value for NOTIFY_SOCKET."""
        name: bytes = self._socket.getsockname()
        return "@" + name[1:].decode()

    @property
    def status(self) -> str:
        """The last STATUS, empty if there was none."""
        self._receive()
        return next((value for name, value in reversed(self.messages) if name == "STATUS"), "")

    @property
    def store(self) -> list[tuple[str, int]]:
        """The descriptors that are kept, with their names, in their order; they stay the store's."""
        self._receive()
        return list(self._store)

    def count(self, name: str) -> int:
        """How many descriptors are kept under `name`."""
        return sum(other == name for other, _ in self.store)

    def wait_for(self, condition: Callable[[str, str], bool], *, pidfd: int, timeout: float) -> bool:
        """Whether a message that meets the condition has come, or comes before the process ends.

        TimeoutError after `timeout` seconds without either.
        """
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        while True:
            self._receive()
            if any(condition(name, value) for name, value in self.messages):
                return True
            # In slices: it may have been read by `read_all_the_time`.
            ready = poll.poll(_SLICE * 1000)
            if not ready and time.monotonic() >= deadline:
                raise TimeoutError(f"not within {timeout:g} s; messages: {self.messages}")
            if [descriptor for descriptor, _ in ready] == [pidfd]:
                return False

    def wait_for_end(self, pidfd: int, timeout: float) -> None:
        """Read on until the process has ended, as it may have more to say than the socket holds."""
        self.wait_for(lambda name, value: False, pidfd=pidfd, timeout=timeout)
        self._receive()

    def _receive(self) -> None:
        with self._lock:
            while True:
                try:
                    datagram, descriptors, _, _ = socket.recv_fds(self._socket, 4096, _MOST)
                except BlockingIOError:
                    return
                lines = []
                for line in datagram.decode().splitlines():
                    name, _, value = line.partition("=")
                    lines.append((name, value))
                self.messages += lines
                self._keep(dict(lines), descriptors)

    def _keep(self, said: dict[str, str], descriptors: list[int]) -> None:
        name = said.get("FDNAME", "stored")
        if said.get("FDSTORE") == "1":
            self._store += [(name, descriptor) for descriptor in descriptors]
            return
        for descriptor in descriptors:
            os.close(descriptor)  # of a barrier
        if said.get("FDSTOREREMOVE") == "1":
            for one in [one for one in self._store if one[0] == name]:
                self._store.remove(one)
                os.close(one[1])

    def close(self) -> None:
        self._socket.close()
        for _, descriptor in self._store:
            os.close(descriptor)
        self._store.clear()
