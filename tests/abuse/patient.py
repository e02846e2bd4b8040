"""A worker under abuse, seen from outside: memory, descriptors, threads, its scoreboard, its own word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdserve.host.fds import Fd
from sdserve.host.scoreboard import CONNECTIONS, IN_FLIGHT, Scoreboard
from tests.serving import Server
from tests.system.waiting import wait_for

PATIENCE = 20.0
OBJECTS = 50
"""Python objects more than before that are no leak: caches that fill. Less than one a client of a crowd."""
MEMORY = 16 * 1024 * 1024
"""Bytes more than before that are no leak: the allocator keeps what it has once needed."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be again as it was."""

    pid: int
    descriptors: int
    threads: int
    tasks: int
    objects: int
    memory: int


class Patient:
    """The only worker of a server."""

    def __init__(self, server: Server, scoreboard: Scoreboard) -> None:
        self.server = server
        self._scoreboard = scoreboard
        self.pid: int = self._ask()["pid"]
        self._before: Condition

    @classmethod
    @contextmanager
    def of(cls, server: Server) -> Iterator[Patient]:
        directory = Path(f"/proc/{server.process.pid}/fd")
        path = next(entry for entry in directory.iterdir() if "sdserve-scoreboard" in os.readlink(entry))
        scoreboard = Scoreboard(Fd(os.open(path, os.O_RDWR)))
        try:
            yield cls(server, scoreboard)
        finally:
            scoreboard.memory.close()

    @property
    def connections(self) -> int:
        return self._scoreboard.row(0).words[CONNECTIONS]

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def note_condition(self) -> None:
        """How it is once everybody has gone, which has to happen by itself, is what it is compared with."""
        self._before = self._condition()

    def check_recovered(self, memory: int = MEMORY) -> None:
        """It is the same worker, and nothing of those who have gone has stayed; of `memory` the allocator may
        keep all."""
        before, after = self._before, self._condition()
        self._before = after
        assert after.pid == before.pid, "the worker was replaced"
        assert (after.descriptors, after.threads, after.tasks) == (
            before.descriptors,
            before.threads,
            before.tasks,
        )
        assert after.objects - before.objects < OBJECTS, "objects stay"
        assert after.memory - before.memory < memory, "memory stays"

    def _condition(self) -> Condition:
        words = self._scoreboard.row(0).words
        wait_for(lambda: words[CONNECTIONS] == words[IN_FLIGHT] == 0, what="nobody is left", seconds=PATIENCE)
        said = self._ask()
        wait_for(
            lambda: words[CONNECTIONS] == 0, what="the question's connection is closed", seconds=PATIENCE
        )
        proc = Path(f"/proc/{said['pid']}")
        return Condition(
            pid=said["pid"],
            descriptors=len(list((proc / "fd").iterdir())),
            threads=len(list((proc / "task").iterdir())),
            tasks=said["tasks"],
            objects=said["objects"],
            memory=self.memory,
        )

    def _ask(self) -> dict[str, Any]:
        said: dict[str, Any] = self.server.request("GET", "/state", fields={"Connection": "close"}).json
        return said
