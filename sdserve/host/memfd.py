"""Anonymous memory that is shared by passing a descriptor: no file, no name, gone with the last user."""

from __future__ import annotations

import fcntl
import mmap
import os

from sdserve.host.fds import Fd


def create(name: str, size: int) -> Fd:
    """A new memfd of `size` zero bytes, close-on-exec; the caller owns it. `name` shows in /proc/PID/fd."""
    memory = Fd(os.memfd_create(name, os.MFD_CLOEXEC))
    os.ftruncate(memory.fileno(), size)
    return memory


def sealed(name: str, content: bytes) -> Fd:
    """A new memfd of `content`, which nobody can change any more; read from its beginning."""
    memory = Fd(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    try:
        write(memory.fileno(), content)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(memory.fileno(), fcntl.F_ADD_SEALS, seals)
    except BaseException:
        memory.close()
        raise
    return memory


def write(borrowed: int, content: bytes) -> None:
    """Make `content` all that is in a file or memfd."""
    os.ftruncate(borrowed, 0)
    done = 0
    while done < len(content):
        done += os.pwrite(borrowed, content[done:], done)


def read(borrowed: int) -> bytes:
    """All that is in a file or memfd, wherever others stand in it."""
    content = bytearray()
    while part := os.pread(borrowed, 1 << 20, len(content)):
        content += part
    return bytes(content)


def share(borrowed: int) -> mmap.mmap:
    """All of a memfd, readable and writable, shared with everybody who maps it."""
    return mmap.mmap(borrowed, os.fstat(borrowed).st_size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
