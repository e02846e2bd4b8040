"""A gate that application code inside a container waits at until the test lets it through.

The application's side is `open(PATH).read()` on a FIFO, which returns when a writer has come and gone again.
So the test learns that the application has arrived (a writer can be opened only when there is a reader), and
decides when it goes on.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator

from tests.system.machine import Machine
from tests.system.waiting import wait_for


class Gate:
    """A closed gate at a path inside the container."""

    def __init__(self, machine: Machine, inside: str) -> None:
        self._path = machine.path(inside)
        os.mkfifo(self._path)
        os.chmod(self._path, 0o666)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Wait until somebody stands at the gate; let them through at the end of the block."""
        writer = wait_for(self._open, what=f"the application has come to {self._path}")
        assert writer is not None
        with writer:
            yield

    def _open(self) -> io.FileIO | None:
        try:
            # Blocking until a reader comes would be simpler, but not bounded in time.
            return io.FileIO(os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), "w")
        except OSError as error:
            if error.errno != errno.ENXIO:  # no reader yet
                raise
            return None
