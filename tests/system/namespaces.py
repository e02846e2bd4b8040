"""Sockets that belong to a container's network namespace but are used from this process."""

from __future__ import annotations

import ctypes
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def socket_in(namespace: Path, family: socket.AddressFamily) -> socket.socket:
    """Return a new stream socket of the namespace behind a `/proc/PID/ns/net` path.

    setns(2) moves one thread, and a socket stays in the namespace it was made in; so a thread that lives only
    for this makes it, and the process itself never moves.
    """

    def make() -> socket.socket:
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # os.setns came with Python 3.12.
            if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        finally:
            os.close(descriptor)
        return socket.socket(family, socket.SOCK_STREAM)

    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(make).result()
