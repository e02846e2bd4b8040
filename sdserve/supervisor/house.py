"""What the supervisor owns: its children, their channels, the listeners, the scoreboard."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from sdserve.config.model import Configuration
from sdserve.host import process
from sdserve.host.channel import Channel
from sdserve.host.listeners import ListenSocket
from sdserve.host.release import Release
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.signals import Signals

ROWS = 1024
"""Of the scoreboard, so the most workers there can be, leaving ones included. Unused ones take no memory."""


@dataclass(slots=True, kw_only=True)
class Zygote:
    """The zygote of a generation, as the supervisor sees it."""

    generation: int
    release: Release
    process: subprocess.Popen[bytes]
    """Only its pid is used: it is `observe` that waits for children, all of them."""
    channel: Channel

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def __str__(self) -> str:
        return f"the zygote of generation {self.generation} (pid {self.pid})"


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker, as the supervisor sees it."""

    generation: int
    serial: int
    slot: int
    row: int
    channel: Channel
    pid: int | None = None
    """None until its zygote has said it."""

    def __str__(self) -> str:
        return f"worker {self.serial} (slot {self.slot}, generation {self.generation}, pid {self.pid})"


@dataclass(slots=True, kw_only=True)
class House:
    """Everything the loop holds in its hands. The fleet knows the same things by number."""

    configuration: Configuration
    listeners: list[ListenSocket]
    """Kept open for ever: a connection that waits in a backlog survives every worker."""
    scoreboard: Scoreboard
    signals: Signals
    zygote_command: tuple[str, ...]
    """The arguments of a zygote's interpreter; the number of its channel's descriptor comes last."""
    poller: select.epoll = field(default_factory=select.epoll)
    releases: dict[int, Release] = field(default_factory=dict)
    """By generation, so that a zygote started once more runs what the first one ran."""
    zygotes: dict[int, Zygote] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)
    """By serial."""
    early_exits: dict[int, int] = field(default_factory=dict)
    """Exit codes by pid of children nobody has announced yet, kept while somebody might."""
    free_rows: list[int] = field(default_factory=lambda: list(reversed(range(ROWS))))
    interface: str = ""
    """Of the application, as a worker found it."""
    stop_asked: float = -inf
    """When a signal last asked to stop: seconds, CLOCK_MONOTONIC."""
    exit_code: int | None = None
    """Set by the last effect of all."""

    def __post_init__(self) -> None:
        self.poller.register(self.signals, select.EPOLLIN)

    def take_row(self) -> int:
        """A free row of the scoreboard, taken for good only by `admit_worker`. OSError if there is none."""
        if not self.free_rows:
            raise OSError(errno.ENOSPC, "the scoreboard is full")
        return self.free_rows[-1]

    def admit_zygote(self, zygote: Zygote) -> None:
        """Take in a new zygote and listen to it."""
        self.poller.register(zygote.channel, select.EPOLLIN)
        self.zygotes[zygote.generation] = zygote

    def admit_worker(self, worker: Worker) -> None:
        """Take in a worker that was asked for and listen to it."""
        self.poller.register(worker.channel, select.EPOLLIN)
        self.free_rows.remove(worker.row)
        self.workers[worker.serial] = worker

    def hang_up(self, channel: Channel) -> None:
        """Stop listening to a channel and close it."""
        if channel.fileno() >= 0:
            self.poller.unregister(channel)
            channel.close()

    def forget_zygote(self, zygote: Zygote) -> None:
        """A zygote is gone."""
        self.hang_up(zygote.channel)
        del self.zygotes[zygote.generation]

    def forget_worker(self, worker: Worker) -> None:
        """A worker is gone, or never came."""
        self.hang_up(worker.channel)
        self.scoreboard.row(worker.row).clear()
        self.free_rows.append(worker.row)
        del self.workers[worker.serial]

    def worker_of(self, generation: int, serial: int) -> Worker | None:
        """The worker of that name, if we know it."""
        worker = self.workers.get(serial)
        return worker if worker is not None and worker.generation == generation else None

    def unborn(self, generation: int) -> list[Worker]:
        """Workers that the zygote of `generation` was asked for and has not announced."""
        return [
            worker
            for worker in self.workers.values()
            if worker.generation == generation and worker.pid is None
        ]

    def close(self) -> None:
        """Let go of everything; whatever child still runs is killed."""
        # After an error in the loop one of them may have been reaped already.
        pids = {pid for pid in self._pids() if process.is_child(pid)}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        for zygote in list(self.zygotes.values()):
            zygote.process.returncode = -signal.SIGKILL
            self.forget_zygote(zygote)
        for worker in list(self.workers.values()):
            self.forget_worker(worker)
        for listener in self.listeners:
            listener.close()
        self.signals.close()
        self.poller.close()

    def _pids(self) -> Iterator[int]:
        yield from (zygote.pid for zygote in self.zygotes.values())
        yield from (worker.pid for worker in self.workers.values() if worker.pid is not None)
