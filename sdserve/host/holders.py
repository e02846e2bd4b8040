"""Who holds an address already: for error messages, so it answers as well as it can and never fails."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

_LISTEN = "0A"  # TCP_LISTEN in the column `st` of /proc/net/tcp (proc(5))


def of_port(port: int) -> str:
    """The process that listens at TCP `port`, as `nginx (pid 12)`; empty if it cannot be told."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid in filter(str.isdigit, _names("/proc")) if inodes else ():
        for descriptor in _names(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") in inodes:
                    return describe(int(pid))
            except OSError:
                continue  # closed since, or another user's
    return ""


def of_peer(connected: socket.socket) -> str:
    """The process that listens at the other end of a connected unix socket."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return describe(struct.unpack("3i", credentials)[0])


def describe(pid: int) -> str:
    """`pid` with the name of its program."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as comm:
            return f"{comm.read().strip()} (pid {pid})"
    except OSError:
        return f"pid {pid}"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                for columns in map(str.split, lines):
                    if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                        yield columns[9]
        except OSError:
            continue


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
