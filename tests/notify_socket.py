"""The service manager's end of sd_notify(3), as a real socket."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SLICE = 0.1  # seconds


class NotifySocket:
    """Collects what a service says of itself.

    `messages` has everything received so far, in order, as (name, value): ("READY", "1").
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(b"")  # the kernel picks an abstract name: unix(7), autobind
        self.messages: list[tuple[str, str]] = []
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

    def _receive(self) -> None:
        with self._lock:
            while True:
                try:
                    datagram = self._socket.recv(4096)
                except BlockingIOError:
                    return
                for line in datagram.decode().splitlines():
                    name, _, value = line.partition("=")
                    self.messages.append((name, value))

    def close(self) -> None:
        self._socket.close()
