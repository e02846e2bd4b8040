"""Anonymous memory that is shared by passing a descriptor: no file, no name, gone with the last user."""

from __future__ import annotations

import fcntl
import mmap
import os

from sdserve.host.fds import Fd

_ALL_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def create(name: str, size: int) -> Fd:
    """A new memfd of `size` zero bytes, close-on-exec; the caller owns it. `name` shows in /proc/PID/fd."""
    memory = Fd(os.memfd_create(name, os.MFD_CLOEXEC))
    os.ftruncate(memory.fileno(), size)
    return memory


def sealed(name: str, data: bytes) -> Fd:
    """A new memfd of `data` that nobody can change any more; the caller owns it."""
    memory = Fd(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    with open(memory.fileno(), "wb", closefd=False) as file:
        file.write(data)
    fcntl.fcntl(memory.fileno(), fcntl.F_ADD_SEALS, _ALL_SEALS)
    return memory


def content(borrowed: int) -> bytes:
    """All bytes of a memfd, wherever its position is."""
    return os.pread(borrowed, os.fstat(borrowed).st_size, 0)


def share(borrowed: int) -> mmap.mmap:
    """All of a memfd, readable and writable, shared with everybody who maps it."""
    return mmap.mmap(borrowed, os.fstat(borrowed).st_size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
