"""A request body that is complete before the application sees it: in memory, or in a private file."""

from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from typing import IO


class Spool:
    """Collects a body; above `memory` bytes it goes to an unnamed temporary file ($TMPDIR)."""

    __slots__ = ("_file", "_memory", "_parts", "size")

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._parts: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            OSError: the disk is full, or there is nowhere to put the file.
        """
        self.size += len(data)
        if self._file is not None:
            self._file.write(data)
            self._file.flush()  # so that a disk that is full says so here, and not when the body is read
            return
        self._parts.append(data)
        if self.size > self._memory:
            # Unnamed, so that it cannot outlive the process, whatever ends that.
            self._file = tempfile.TemporaryFile(prefix="sdserve-body-")  # noqa: SIM115 - closed in `close`
            self._file.writelines(self._parts)
            self._file.flush()
            self._parts.clear()

    def open(self) -> IO[bytes]:
        """Return the whole body as a binary file, at its beginning."""
        if self._file is None:
            return io.BytesIO(b"".join(self._parts))
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give memory or disk space back."""
        self._parts.clear()
        if self._file is not None:
            with suppress(OSError):  # of what could not be flushed; the descriptor is closed all the same
                self._file.close()
