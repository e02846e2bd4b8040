"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

An answer that is a wrapper around a real file is sent by the kernel. Anything else is read part by part: what
is no regular file, and what does not give the file's bytes as they are (text, gzip, a decrypting file).
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from sdserve.host.fds import Fd
from sdserve.worker.file_body import FilePart

_BLOCK = 64 * 1024
"""Bytes that are read at once if the application does not say how many."""


class FileWrapper:
    """What an application makes of a file-like object to return it as its answer."""

    def __init__(self, filelike: Any, blksize: int = _BLOCK) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        if not data:
            raise StopIteration
        return data

    # Werkzeug skips to the beginning of a range in this way, instead of reading up to it.

    def seekable(self) -> bool:
        """Whether `seek` and `tell` work."""
        try:
            return bool(self.filelike.seekable())
        except AttributeError:
            return hasattr(self.filelike, "seek")

    def seek(self, *where: int) -> None:
        """Go to a position, as the file does."""
        self.filelike.seek(*where)

    def tell(self) -> int:
        """Return the file's position."""
        position: int = self.filelike.tell()
        return position


def real_part(wrapper: FileWrapper) -> FilePart | None:
    """Return the file's bytes from its position on, None if it has to be read part by part.

    It gets a descriptor of its own: whatever the application does to its file, no other's bytes are sent.

    Raises:
        OSError, ValueError: what the file raises, as one that is closed does.
    """
    file = _underlying(wrapper.filelike)
    if file is None:
        return None
    offset = file.tell() if file.seekable() else -1
    descriptor = Fd(os.dup(file.fileno()))
    try:
        size = os.fstat(descriptor.fileno()).st_size
    except BaseException:
        descriptor.close()
        raise
    # Devices, and files of the kernel's (/proc), say that they are empty, and are not.
    if offset < 0 or not size:
        descriptor.close()
        return None
    return FilePart(descriptor, offset, max(size - offset, 0))


def _underlying(filelike: Any) -> io.FileIO | io.BufferedReader | io.BufferedRandom | None:
    """Return the object of the standard library's whose bytes are those of `filelike`."""
    if type(filelike) is tempfile._TemporaryFileWrapper:
        filelike = filelike.file
    # A framework's own File class (Django) passes the method of the file within on.
    file: Any = getattr(getattr(filelike, "read", None), "__self__", None)
    is_buffered = type(file) in (io.BufferedReader, io.BufferedRandom)
    raw = file.raw if is_buffered else file
    return file if type(raw) is io.FileIO else None
