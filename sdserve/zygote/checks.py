"""What an application may not leave behind when it is imported before the fork.

A thread does not survive fork(2), but the locks it holds do. A connection survives it as one
connection that all workers write into.
"""

from __future__ import annotations

import os
import socket
import threading

from sdserve.errors import BootError
from sdserve.host.addresses import describe

_ADVICE = "open it in the worker, at start-up or at the first request, or set preload = no"


def open_descriptors() -> set[int]:
    """The numbers of all descriptors of this process."""
    # Listing needs a descriptor itself, which is closed by the time of the question.
    return {number for number in map(int, os.listdir("/proc/self/fd")) if _is_open(number)}


def check_forkable(descriptors_before: set[int]) -> None:
    """BootError, with their names, if threads run or connections are open that were not before."""
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if threads:
        raise BootError(
            f"preload: importing the application left threads running ({', '.join(threads)}), "
            "which a forked worker would not have; start them in the worker, or set preload = no"
        )
    connections = list(filter(None, map(_connection, sorted(open_descriptors() - descriptors_before))))
    if connections:
        raise BootError(
            f"preload: importing the application left connections open ({', '.join(connections)}), "
            f"which all workers would share; {_ADVICE}"
        )


def _connection(number: int) -> str:
    """Who is at the other end of descriptor `number`; empty if it is no connection.

    Datagrams, to syslog for example, do not mix: a connected datagram socket may be shared.
    """
    try:
        copy = socket.socket(fileno=os.dup(number))
    except OSError:
        return ""
    with copy:
        try:
            copy.getpeername()
        except OSError:
            return ""
        if copy.type == socket.SOCK_DGRAM:
            return ""
        return f"{_peer(copy)}, descriptor {number}"


def _peer(connected: socket.socket) -> str:
    if connected.family == socket.AF_UNIX and not connected.getpeername():
        return "a socket pair"  # as every event loop has one
    return describe(connected.getpeername(), connected.family)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
