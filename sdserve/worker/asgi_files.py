"""Files that an ASGI application wants to have sent: the pathsend and zerocopysend extensions.

https://asgi.readthedocs.io/en/stable/extensions.html
"""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Any

from sdserve.errors import LocalProtocolError
from sdserve.host.fds import Fd
from sdserve.worker.file_body import FilePart


async def open_path(loop: asyncio.AbstractEventLoop, path: str) -> FilePart:
    """Open the whole file at `path`, in a thread: the disk may be slow, or at the other end of a network.

    Raises:
        LocalProtocolError: the path is not absolute, or not that of a regular file.
        TypeError: it is no str.
        OSError: it cannot be opened.
    """
    if not isinstance(path, str):
        raise TypeError("a path is a str")
    if not os.path.isabs(path):
        raise LocalProtocolError(f"the application sent a path that is not absolute: {path!r}")
    opening = loop.run_in_executor(None, _open_path, path)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_discard)
        raise


def _open_path(path: str) -> FilePart:
    # O_NONBLOCK: a FIFO would wait for somebody to open its other end. It means nothing to a regular file.
    descriptor = Fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    try:
        return FilePart(descriptor, 0, _size(descriptor))
    except BaseException:
        descriptor.close()
        raise


def _discard(opening: asyncio.Future[FilePart]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().descriptor.close()


def borrow_file(file: Any, offset: int | None, count: int | None) -> FilePart:
    """Return `count` bytes of the application's open file, or its rest; from its position without `offset`.

    It gets a descriptor of its own: an application whose call is cancelled may close its file while bytes are
    on their way.

    Raises:
        LocalProtocolError: not a regular file, or the part does not lie in a file.
        OSError: it cannot be used.
    """
    descriptor = Fd(os.dup(file.fileno()))
    try:
        size = _size(descriptor)
        if offset is None:
            offset = os.lseek(descriptor.fileno(), 0, os.SEEK_CUR)
        if count is None:
            count = max(size - offset, 0)
        if offset < 0 or count < 0:
            raise LocalProtocolError(f"the application sent a part of a file at {offset}, {count} bytes long")
        return FilePart(descriptor, offset, count)
    except BaseException:
        descriptor.close()
        raise


def _size(descriptor: Fd) -> int:
    status = os.fstat(descriptor.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise LocalProtocolError("the application sent a file that is not a regular one")
    return status.st_size
