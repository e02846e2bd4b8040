"""What the supervisor owns: its children, their channels, the listeners, the scoreboard."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

from sdserve.config.model import Configuration
from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import MOST_WORKERS, FleetOptions
from sdserve.core.tls.material import Material
from sdserve.host import process, release
from sdserve.host.channel import Channel
from sdserve.host.listeners import ListenSocket
from sdserve.host.mailbox import Mailbox
from sdserve.host.notify import ServiceManager
from sdserve.host.release import Release
from sdserve.host.scoreboard import Scoreboard, ScoreboardRow
from sdserve.host.signals import Signals
from sdserve.host.terminal import Terminal
from sdserve.supervisor import certificates
from sdserve.supervisor.control import Control
from sdserve.supervisor.watch import Watch

ROWS = 2 * MOST_WORKERS
"""Of the scoreboard, so the most workers there can be, leaving ones included. Unused ones take no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a generation is made of, found once: whoever is started for it later gets the same."""

    configuration: Configuration
    release: Release
    since: float
    """When it was found: seconds, CLOCK_MONOTONIC."""
    since_ns: int
    """The same in nanoseconds since the epoch, as files have it."""
    materials: Mapping[str, Material] = field(default_factory=dict)
    """Certificates and keys, by listener; these change without a new generation."""

    @classmethod
    def of(cls, configuration: Configuration) -> Prepared:
        """Resolve what `configuration` points to now. ReleaseError or CertificateError if that is no use."""
        app = configuration.app
        return cls(
            configuration=configuration,
            since=time.monotonic(),
            since_ns=time.time_ns(),  # before anything is looked at
            release=release.resolve(app.directory, app.venv),
            materials=certificates.read(configuration.listen),
        )


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
    since: float = field(default_factory=time.monotonic)
    """When it was ordered: seconds, CLOCK_MONOTONIC."""
    pid: int | None = None
    """None until its zygote has said it."""
    heir: int | None = None
    """The generation that it was told to hand its connections over to; 0: none; None: it does not drain."""
    changed: tuple[str, ...] = ()
    """Files of modules that it runs and that are newer than its generation."""

    def __str__(self) -> str:
        return f"worker {self.serial} (slot {self.slot}, generation {self.generation}, pid {self.pid})"


@dataclass(slots=True, kw_only=True)
class House:
    """Everything the loop holds in its hands. The fleet knows the same things by number."""

    configuration: Configuration
    """Of the first generation: the listeners were opened as it says, and stay so."""
    read_configuration: Callable[[], Configuration]
    """Reads it again from where it came from. ConfigurationError with everything that is wrong."""
    listeners: list[ListenSocket]
    """Kept open for ever: a connection that waits in a backlog survives every worker."""
    scoreboard: Scoreboard
    signals: Signals
    zygote_command: tuple[str, ...]
    """The arguments of a zygote's interpreter; the number of its channel's descriptor comes last."""
    poller: select.epoll = field(default_factory=select.epoll)
    manager: ServiceManager = field(default_factory=ServiceManager)
    control: Control | None = None
    """None where there can be no control socket."""
    fleet: Fleet = field(default_factory=lambda: Fleet(options=FleetOptions()))
    """What the loop made of it last, to be shown. Nothing in here decides by it."""
    prepared: dict[int, Prepared] = field(default_factory=dict)
    """By generation, so that a zygote started once more runs what the first one ran."""
    mailboxes: dict[int, Mailbox] = field(default_factory=dict)
    """By generation, from its first zygote on until it is dropped: connections may wait in them."""
    zygotes: dict[int, Zygote] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)
    """By serial."""
    early_exits: dict[int, int] = field(default_factory=dict)
    """Exit codes by pid of children nobody has announced yet, kept while somebody might."""
    free_rows: list[int] = field(default_factory=lambda: list(reversed(range(ROWS))))
    terminal: Terminal = field(default_factory=Terminal)
    watch: Watch = field(default_factory=Watch)
    since: float = field(default_factory=time.monotonic)
    """When the supervisor started: seconds, CLOCK_MONOTONIC."""
    is_introduced: bool = False
    """Whether the banner has been shown."""
    interface: str = ""
    """Of the application, as a worker found it."""
    stop_asked: float = -inf
    """When a signal last asked to stop: seconds, CLOCK_MONOTONIC."""
    exit_code: int | None = None
    """Set by the last effect of all."""

    def __post_init__(self) -> None:
        self.poller.register(self.signals, select.EPOLLIN)

    def tell_manager(self, message: str) -> None:
        """Tell the service manager, when it has read what it was told before. OSError if it is gone."""
        try:
            self.manager.tell(message)
        finally:
            self._await_manager()

    def catch_up(self) -> None:
        """Tell the service manager what it had no room for. OSError if it is gone."""
        try:
            self.manager.flush()
        finally:
            self._await_manager()

    def _await_manager(self) -> None:
        """Wake up when the service manager has room, until then. Its socket may be a new one."""
        if not self.manager.is_behind:
            with suppress(OSError, ValueError):
                self.poller.unregister(self.manager)
            return
        try:
            self.poller.modify(self.manager, select.EPOLLOUT)
        except FileNotFoundError:
            self.poller.register(self.manager, select.EPOLLOUT)

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

    def mailbox_of(self, generation: int) -> Mailbox:
        """The mailbox of a generation, made when it is first needed. OSError without descriptors."""
        if generation not in self.mailboxes:
            self.mailboxes[generation] = Mailbox.make()
        return self.mailboxes[generation]

    def drop_mailbox(self, generation: int, heir: int) -> int:
        """Nobody reads it any more; what waits in it goes to the `heir`: how many connections that were."""
        mailbox = self.mailboxes.pop(generation, None)
        if mailbox is None:
            return 0
        passed_on = mailbox.empty_into(self.mailboxes[heir]) if heir in self.mailboxes else 0
        mailbox.close()
        return passed_on

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

    def row_of(self, worker: Worker) -> ScoreboardRow:
        """What the worker says of itself."""
        return self.scoreboard.row(worker.row)

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
        for mailbox in self.mailboxes.values():
            mailbox.close()
        if self.control is not None:
            self.control.close()
        self.manager.close()
        self.signals.close()
        self.poller.close()

    def _pids(self) -> Iterator[int]:
        yield from (zygote.pid for zygote in self.zygotes.values())
        yield from (worker.pid for worker in self.workers.values() if worker.pid is not None)
