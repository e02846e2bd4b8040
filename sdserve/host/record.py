"""A document in memory that outlives its writer: always there whole, whenever the writer dies.

A memfd with two places, written in turn. What a place holds is valid if its check sum is; of two that are,
the one with the higher number is the newer.
"""

from __future__ import annotations

import os
import struct
import zlib

from sdserve.host import memfd
from sdserve.host.fds import Fd

MAX_DOCUMENT = 4 * 1024 * 1024
"""Bytes. The places are so far apart; what is not written takes no memory."""

_HEAD = struct.Struct("=QQI")
"""Number, length, and CRC-32 of number, length and document."""


class Record:
    """The memfd, owned."""

    def __init__(self, taken: Fd) -> None:
        self.memory = taken
        number, _ = self._newest()
        self._number = number

    @classmethod
    def create(cls, name: str) -> Record:
        """An empty one; `name` shows in /proc/PID/fd."""
        return cls(memfd.create(name, 0))

    def write(self, document: bytes) -> None:
        """Make `document` the newest. ValueError if it is longer than `MAX_DOCUMENT`.

        OSError without memory for it: then the newest is the one before, and stays so until one is whole.
        """
        if len(document) > MAX_DOCUMENT:
            raise ValueError(f"{len(document):,} bytes are more than {MAX_DOCUMENT:,}")
        number = self._number + 1
        head = _HEAD.pack(number, len(document), _check_sum(number, document))
        content, offset = memoryview(head + document), self._offset(number)
        while content:
            written = os.pwrite(self.memory.fileno(), content, offset)
            content, offset = content[written:], offset + written
        self._number = number

    def read(self) -> bytes:
        """The newest document; b"" if there is none."""
        return self._newest()[1]

    def close(self) -> None:
        """Close it, once; closing again does nothing."""
        self.memory.close()

    def _newest(self) -> tuple[int, bytes]:
        return max(self._place(0), self._place(1))

    def _place(self, place: int) -> tuple[int, bytes]:
        descriptor, offset = self.memory.fileno(), self._offset(place)
        head = os.pread(descriptor, _HEAD.size, offset)
        if len(head) < _HEAD.size:
            return 0, b""
        number, length, check_sum = _HEAD.unpack(head)
        document = os.pread(descriptor, min(length, MAX_DOCUMENT), offset + _HEAD.size)
        is_valid = len(document) == length and check_sum == _check_sum(number, document)
        return (number, document) if is_valid else (0, b"")

    @staticmethod
    def _offset(number: int) -> int:
        return number % 2 * (_HEAD.size + MAX_DOCUMENT)


def _check_sum(number: int, document: bytes) -> int:
    return zlib.crc32(document, zlib.crc32(struct.pack("=QQ", number, len(document))))
