"""What the supervisor owns: its children, their channels, the listeners, the scoreboard."""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Protocol

from sdserve.config.model import Configuration
from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import MOST_WORKERS, FleetOptions
from sdserve.core.tls.material import Material
from sdserve.host import process, release
from sdserve.host.channel import Channel
from sdserve.host.fds import Fd
from sdserve.host.listeners import ListenSocket
from sdserve.host.mailbox import Mailbox
from sdserve.host.notify import ServiceManager
from sdserve.host.release import Release
from sdserve.host.scoreboard import ACCEPTED, Scoreboard, ScoreboardRow
from sdserve.host.signals import Signals
from sdserve.host.terminal import Terminal
from sdserve.supervisor import certificates
from sdserve.supervisor.control import Control
from sdserve.supervisor.leftovers import Leftovers
from sdserve.supervisor.watch import Watch

if TYPE_CHECKING:
    from sdserve.supervisor.keeping import Keeper

_log = logging.getLogger("sdserve")

ROWS = 2 * MOST_WORKERS
"""Of the scoreboard, so the most workers there can be, leaving ones included. Unused ones take no memory."""


Order = wire.Serve | wire.Drain | wire.Certificates
"""To a worker."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs, and what to execute for what is installed by then."""

    command: tuple[str, ...]
    """Its beginning, see `sdserve.host.program`."""
    arguments: tuple[str, ...]
    """The rest: `run TARGET ...`."""
    identity: str
    description: str


@dataclass(slots=True, kw_only=True)
class Preparation:
    """The child that prepares a generation, as the supervisor sees it."""

    generation: int
    """0 for one that only tells what a reload would change."""
    pid: int
    channel: Channel
    errors: Fd
    """A memfd, its standard error."""
    upgrade: bool = False
    tokens: list[int] = field(default_factory=list)
    """Who waits to be told what a reload would change."""
    since: float = field(default_factory=time.monotonic)
    since_ns: int = field(default_factory=time.time_ns)
    is_dropped: bool = False
    """Nobody wants to know any more."""
    descriptors: list[Fd] = field(default_factory=list)
    """What came with its answer: certificates, if a listener speaks TLS."""
    is_answered: bool = False

    def __str__(self) -> str:
        return f"the preparation of generation {self.generation} (pid {self.pid})"


@dataclass(slots=True, kw_only=True)
class Zygote:
    """The zygote of a generation, as the supervisor sees it."""

    generation: int
    release: Release
    pid: int
    channel: Channel
    unsaid: list[effects.Fork] = field(default_factory=list)
    """Orders that it had no room for, see `orders`."""
    unsaid_since: float = 0.0
    """The first of them: seconds, CLOCK_MONOTONIC."""

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
    started: int = 0
    """When that process started, as proc_pid_stat(5) has it: who has the number later has another."""
    unsaid: list[Order] = field(default_factory=list)
    """Orders that it had no room for, see `orders`."""
    unsaid_since: float = 0.0
    """The first of them: seconds, CLOCK_MONOTONIC."""
    changed: tuple[str, ...] = ()
    """Files of modules that it runs and that are newer than its generation."""
    outdated: set[str] = field(default_factory=set)
    """Files of modules that it runs and that are others now."""

    def __str__(self) -> str:
        return f"worker {self.serial} (slot {self.slot}, generation {self.generation}, pid {self.pid})"


@dataclass(slots=True, kw_only=True)
class Forwarded:
    """The mailbox of a generation that was dropped."""

    generation: int
    heir: int
    """The generation whose workers get what waits in it; 0: nobody does."""
    until: float
    """When it is closed with what is left: seconds, CLOCK_MONOTONIC."""
    forwarding: Passing


class Passing(Protocol):
    """Connections on their way into a mailbox."""

    count: int
    """Those that were passed on."""

    def go_on(self, other: Mailbox) -> bool:
        """Pass on what has room in `other`; whether nothing is left."""

    def close(self) -> None:
        """Close what is left."""


class Lookout(Protocol):
    """Somebody who looks from time to time for what is not told."""

    def next_look(self, house: House) -> float | None:
        """When `look` has something to do: seconds, CLOCK_MONOTONIC; None: never, as things are."""

    def look(self, house: House, now: float) -> Iterable[events.Event]:
        """What was found."""


@dataclass(slots=True, kw_only=True)
class House:
    """Everything the loop holds in its hands. The fleet knows the same things by number."""

    configuration: Configuration
    """Of the first generation: the listeners were opened as it says, and stay so."""
    program: Program
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
    preparations: dict[int, Preparation] = field(default_factory=dict)
    """By generation, until the child is gone."""
    replacement: int = 0
    """The generation before which another program is to go on in place of this one; 0: none."""
    forwarded: list[Forwarded] = field(default_factory=list)
    """Mailboxes of generations that were dropped, see `mail`."""
    zygotes: dict[int, Zygote] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)
    """By serial."""
    accepted: int = 0
    """Connections that workers have accepted who are gone."""
    early_exits: dict[int, int] = field(default_factory=dict)
    """Exit codes by pid of children nobody has announced yet, kept while somebody might."""
    free_rows: list[int] = field(default_factory=lambda: list(reversed(range(ROWS))))
    terminal: Terminal = field(default_factory=Terminal)
    watch: Watch = field(default_factory=Watch)
    lookouts: list[Lookout] = field(default_factory=list)
    """Who looks from time to time; `watch` is one of them."""
    leftovers: Leftovers = field(default_factory=Leftovers)
    keeper: Keeper | None = None
    """None where the service manager keeps nothing for us."""
    since: float = field(default_factory=time.monotonic)
    """When the supervisor started: seconds, CLOCK_MONOTONIC."""
    is_introduced: bool = False
    """Whether the banner has been shown."""
    interface: str = ""
    """Of the application, as a worker found it."""
    retry_at: float | None = None
    """When what had no room is to be tried again: seconds, CLOCK_MONOTONIC."""
    stop_asked: float = -inf
    """When a signal last asked to stop: seconds, CLOCK_MONOTONIC."""
    exit_code: int | None = None
    """Set by the last effect of all."""

    def __post_init__(self) -> None:
        self.poller.register(self.signals, select.EPOLLIN)
        self.lookouts[:0] = [self.watch, self.leftovers]

    def tell_manager(self, message: str, borrowed: Iterable[int] = ()) -> None:
        """Tell the service manager, when it has read what it was told before; that it is gone is only said.

        Copies of the descriptors in `borrowed` go along.
        """
        try:
            self.manager.tell(message, borrowed)
        except OSError as error:
            _log.warning("the service manager cannot be told (%s), ignoring", error)
        self._await_manager()

    def catch_up(self) -> None:
        """Tell the service manager what it had no room for."""
        try:
            self.manager.flush()
        except OSError as error:
            _log.warning("the service manager cannot be told (%s), ignoring", error)
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

    def admit_preparation(self, preparation: Preparation) -> None:
        """Take in a child that prepares a generation and listen to it."""
        self._listen_to(preparation.channel)
        self.preparations[preparation.generation] = preparation

    def admit_zygote(self, zygote: Zygote) -> None:
        """Take in a new zygote and listen to it."""
        self._listen_to(zygote.channel)
        self.zygotes[zygote.generation] = zygote

    def admit_worker(self, worker: Worker) -> None:
        """Take in a worker that was asked for and listen to it."""
        self._listen_to(worker.channel)
        self.free_rows.remove(worker.row)
        self.workers[worker.serial] = worker

    def _listen_to(self, channel: Channel) -> None:
        if channel.fileno() >= 0:  # of a child that another program has taken in, it may be closed
            self.poller.register(channel, select.EPOLLIN)

    def hang_up(self, channel: Channel) -> None:
        """Stop listening to a channel and close it."""
        if channel.fileno() >= 0:
            self.poller.unregister(channel)
            channel.close()

    def forget_preparation(self, preparation: Preparation) -> None:
        """Such a child is gone."""
        self.hang_up(preparation.channel)
        preparation.errors.close()
        del self.preparations[preparation.generation]

    def forget_zygote(self, zygote: Zygote) -> None:
        """A zygote is gone."""
        self.hang_up(zygote.channel)
        del self.zygotes[zygote.generation]

    def forget_worker(self, worker: Worker) -> None:
        """A worker is gone, or never came."""
        self.hang_up(worker.channel)
        row = self.row_of(worker)
        self.accepted += row.words[ACCEPTED]
        row.clear()
        self.free_rows.append(worker.row)
        del self.workers[worker.serial]

    def mailbox_of(self, generation: int) -> Mailbox:
        """The mailbox of a generation, made when it is first needed. OSError without descriptors."""
        if generation not in self.mailboxes:
            self.mailboxes[generation] = Mailbox.make()
        return self.mailboxes[generation]

    def retry_by(self, moment: float) -> None:
        """Have the loop try again what had no room, at `moment` or before."""
        self.retry_at = moment if self.retry_at is None else min(self.retry_at, moment)

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was ordered is on its way, and nothing is left to be said again."""
        children: list[Zygote | Worker] = [*self.zygotes.values(), *self.workers.values()]
        unsaid = any(child.unsaid for child in children)
        return not (unsaid or self.forwarded or self.manager.is_behind)

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
            self.forget_zygote(zygote)
        for worker in list(self.workers.values()):
            self.forget_worker(worker)
        for preparation in list(self.preparations.values()):
            self.forget_preparation(preparation)
        for listener in self.listeners:
            listener.close()
        for mailbox in self.mailboxes.values():
            mailbox.close()
        for one in self.forwarded:
            one.forwarding.close()
        self.leftovers.close()
        if self.control is not None:
            self.control.close()
        if self.keeper is not None:
            self.keeper.close()
        self.manager.close()
        self.signals.close()
        self.poller.close()

    def _pids(self) -> Iterator[int]:
        yield from (preparation.pid for preparation in self.preparations.values())
        yield from (zygote.pid for zygote in self.zygotes.values())
        yield from (worker.pid for worker in self.workers.values() if worker.pid is not None)
