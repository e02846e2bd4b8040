"""Whose TCP connections are whose, as the kernel of a container has it (proc(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tests.system.machine import Machine

_ESTABLISHED = "01"


def clients_of(machine: Machine, port: int) -> set[int]:
    """Return the clients' ports of the established connections to `port`, accepted or not."""
    return {client for client, state, _inode in _connections(machine, port) if state == _ESTABLISHED}


def clients_of_process(machine: Machine, port: int, pid: int) -> set[int]:
    """Return the clients' ports of all connections to `port` that a process of the machine holds."""
    held = set()
    for descriptor in machine.path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(descriptor))
    return {client for client, _state, inode in _connections(machine, port) if f"socket:[{inode}]" in held}


def _connections(machine: Machine, port: int) -> Iterator[tuple[int, str, str]]:
    """Yield the client's port, the state, and the inode of each server's end."""
    for line in machine.path("/proc/1/net/tcp").read_text().splitlines()[1:]:
        _number, local, remote, state, _queues, _timer, _retransmits, _uid, _timeout, inode, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            yield int(remote.rpartition(":")[2], 16), state, inode
