"""Anonymous memory that is shared by passing a descriptor: no file, no name, gone with the last user."""

from __future__ import annotations

import mmap
import os

from sdserve.host.fds import Fd


def create(name: str, size: int) -> Fd:
    """A new memfd of `size` zero bytes, close-on-exec; the caller owns it. `name` shows in /proc/PID/fd."""
    memory = Fd(os.memfd_create(name, os.MFD_CLOEXEC))
    os.ftruncate(memory.fileno(), size)
    return memory


def share(borrowed: int) -> mmap.mmap:
    """All of a memfd, readable and writable, shared with everybody who maps it."""
    return mmap.mmap(borrowed, os.fstat(borrowed).st_size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
