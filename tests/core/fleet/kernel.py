"""A kernel, with zygotes and workers, that exists only as numbers.

It obeys orders as the supervisor's `perform` does, but nothing happens by itself: each process goes
on when a test says so, and so any two things may happen in any order that causes allow. What
happens is returned as events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sdserve.core.fleet import effects, events
from sdserve.core.fleet.options import FleetOptions

SIGKILL = -9


@dataclass
class Zygote:
    generation: int
    ready: bool = False
    failed: bool = False
    killed: bool = False
    closed: bool = False
    forks: list[int] = field(default_factory=list)
    """Serials of workers that it is to fork, in order."""


@dataclass
class Process:
    generation: int
    serial: int
    slot: int
    pid: int = 0
    """0 while its zygote has not announced it."""
    ready: bool = False
    serves: bool = False
    """It takes connections, by the fleet's order."""
    failed: bool = False
    drained: bool = False
    """By the fleet's order."""
    heir: int = 0
    """The generation that it was told to hand its connections over to, if any."""
    stalled: bool = False
    killed: bool = False

    @property
    def holds_its_slot(self) -> bool:
        return not (self.drained or self.killed)


class Kernel:
    """All processes there are, and the numbers they were given."""

    def __init__(self) -> None:
        self.zygotes: dict[int, Zygote] = {}
        self.workers: dict[int, Process] = {}
        """By serial, the announced and the unborn."""
        self.lost: dict[int, Process] = {}
        """Ordered from a zygote that has died: they may exist all the same."""
        self.serials: set[int] = set()
        self.untold: set[int] = set()
        """Generations whose zygote has died, but its forks are reported first. Orders may cross that news."""
        self.preparing: set[int] = set()
        """Generations whose configuration is being read, dropped or not."""
        self.prepared: set[int] = {1}
        """Generations that a zygote can be started for."""
        self.refused: set[int] = set()
        self.replacing: set[int] = set()
        """Generations before which another program is to take over."""
        self.waiting: set[int] = set()
        """Tokens of those who wait for a reply."""
        self.next_options = FleetOptions()
        """Of the next generation, unless a test says otherwise."""
        self.pids = 0
        self.exit_code: int | None = None

    def perform(self, effect: effects.Effect) -> list[events.Event]:
        """Obey, and return what went wrong."""
        match effect:
            case effects.PrepareGeneration() | effects.ReplaceProgram():
                self._begin(effect)
            case effects.DropGeneration():
                self._drop(effect.generation, effect.heir)
            case effects.OpenGeneration():
                assert effect.generation in self.prepared, "opened unprepared"
                assert effect.generation not in self.replacing, "opened by the wrong program"
                assert effect.generation not in self.zygotes, "two zygotes of one generation"
                self.zygotes[effect.generation] = Zygote(effect.generation)
            case effects.CloseGeneration() if effect.generation not in self.untold:
                self.zygotes[effect.generation].closed = True
            case effects.KillZygote() if effect.generation not in self.untold:
                assert not self.zygotes[effect.generation].killed, "killed twice"
                self.zygotes[effect.generation].killed = True
            case effects.Fork():
                return self._order_fork(effect)
            case effects.Serve() | effects.Drain() | effects.Dump() | effects.Kill():
                self._order_worker(effect)
            case effects.Reply():
                self.waiting.remove(effect.token)
            case effects.Exit():
                assert not self.waiting, "somebody waits for ever"
                assert self.exit_code is None, "two exits"
                assert not self.zygotes, "a zygote is left behind"
                assert not self.workers, "a worker is left behind"
                self.exit_code = effect.code
        return []

    def _begin(self, effect: effects.PrepareGeneration | effects.ReplaceProgram) -> None:
        number = effect.generation
        if isinstance(effect, effects.ReplaceProgram):
            assert number in self.prepared, "replaced unprepared"
            self.replacing.add(number)
        else:
            assert number not in self.preparing | self.prepared, "a number is used twice"
            self.preparing.add(number)

    def _drop(self, generation: int, heir: int) -> None:
        assert generation not in self.zygotes, "dropped with its zygote"
        assert all(worker.generation != generation for worker in self.workers.values()), (
            "dropped with a worker"
        )
        assert generation in self.prepared | self.preparing | self.refused, "dropped twice"
        assert heir == 0 or heir in self.prepared - {generation}, "connections are for nobody"
        for worker in self.workers.values():
            assert worker.killed or worker.heir != generation, "connections are still sent to it"
        self.prepared.discard(generation)
        self.refused.discard(generation)
        self.replacing.discard(generation)

    def _order_fork(self, order: effects.Fork) -> list[events.Event]:
        assert order.serial not in self.serials, "a serial is used twice"
        self.serials.add(order.serial)
        if order.generation in self.untold:
            return [events.ForkFailed(generation=order.generation, serial=order.serial, reason="too late")]
        zygote = self.zygotes[order.generation]
        assert zygote.ready, "asked before it can fork"
        zygote.forks.append(order.serial)
        self.workers[order.serial] = Process(order.generation, order.serial, order.slot)
        return []

    def _order_worker(self, order: effects.Serve | effects.Drain | effects.Dump | effects.Kill) -> None:
        worker = self.workers[order.serial]
        assert worker.generation == order.generation
        match order:
            case effects.Serve():
                assert worker.ready, "told to serve before it can"
                assert not worker.serves, "told to serve twice"
                worker.serves = True
            case effects.Drain():
                assert worker.serves, "told to drain before it was told to serve"
                assert not worker.drained or worker.heir != order.heir, "told to drain twice"
                assert not worker.killed, "told to drain when it is killed"
                worker.drained, worker.heir = True, order.heir
            case effects.Kill():
                assert not worker.killed, "killed twice"
                worker.killed = True

    def is_heard(self, event: events.Event) -> None:
        """The fleet learns `event` now."""
        if isinstance(event, events.ZygoteExited):
            self.untold.discard(event.generation)

    @property
    def born(self) -> list[Process]:
        return [worker for worker in self.workers.values() if worker.pid]

    def generation_is_prepared(
        self, generation: int, options: FleetOptions, *, replace_program: bool = False
    ) -> list[events.Event]:
        self.preparing.remove(generation)
        self.prepared.add(generation)
        return [events.GenerationPrepared(generation, options, "and so on", replace_program)]

    def program_is_replaced(self) -> list[events.Event]:
        self.replacing.clear()
        return [events.Resumed()]

    def program_is_not_replaced(self, generation: int) -> list[events.Event]:
        self.replacing.discard(generation)
        return [events.ProgramNotReplaced(generation, "no such\nprogram")]

    def generation_is_refused(self, generation: int) -> list[events.Event]:
        self.preparing.remove(generation)
        self.refused.add(generation)
        return [events.GenerationRefused(generation, "no\nsuch file")]

    def zygote_opens(self, zygote: Zygote) -> list[events.Event]:
        zygote.ready = True
        return [events.ZygoteReady(zygote.generation)]

    def zygote_is_not_started(self, zygote: Zygote) -> list[events.Event]:
        """Its program could not be executed: of what was ordered nothing came."""
        del self.zygotes[zygote.generation]
        return [events.ZygoteNotStarted(zygote.generation, "no such program")]

    def zygote_fails(self, zygote: Zygote) -> list[events.Event]:
        zygote.failed = True
        return [events.ZygoteFailed(zygote.generation, "cannot\nbe")]

    def zygote_exits(self, zygote: Zygote, status: int, *, told: bool = True) -> list[events.Event]:
        """With `told` the forks it owes are reported as failed before it is, as the supervisor does."""
        said: list[events.Event] = []
        for serial in zygote.forks:
            self.lost[serial] = self.workers.pop(serial)
            failed = events.ForkFailed(generation=zygote.generation, serial=serial, reason="lost")
            said += [failed] if told else []
        del self.zygotes[zygote.generation]
        self.untold.add(zygote.generation)
        return [*said, events.ZygoteExited(zygote.generation, SIGKILL if zygote.killed else status)]

    def zygote_forks(self, zygote: Zygote) -> list[events.Event]:
        return self._announce(self.workers[zygote.forks.pop(0)])

    def zygote_refuses(self, zygote: Zygote) -> list[events.Event]:
        worker = self.workers.pop(zygote.forks.pop(0))
        return [events.ForkFailed(generation=worker.generation, serial=worker.serial, reason="no memory")]

    def lost_worker_turns_up(self, serial: int) -> list[events.Event]:
        self.workers[serial] = self.lost.pop(serial)
        return self._announce(self.workers[serial])

    def _announce(self, worker: Process) -> list[events.Event]:
        worker.killed = False  # a signal before its birth hit nobody
        self.pids += 1
        worker.pid = self.pids
        return [events.WorkerForked(generation=worker.generation, serial=worker.serial, pid=worker.pid)]

    def worker_gets_ready(self, worker: Process) -> list[events.Event]:
        worker.ready = True
        return [events.WorkerReady(worker.generation, worker.serial)]

    def worker_fails(self, worker: Process) -> list[events.Event]:
        worker.failed = True
        return [events.WorkerFailed(generation=worker.generation, serial=worker.serial, reason="no\nuse")]

    def worker_stalls(self, worker: Process, seconds: float) -> list[events.Event]:
        worker.stalled = True
        return [events.WorkerStalled(worker.generation, worker.serial, seconds, busy=worker.serial % 2 == 0)]

    def worker_recovers(self, worker: Process) -> list[events.Event]:
        worker.stalled = False
        return [events.WorkerRecovered(worker.generation, worker.serial)]

    def worker_exits(self, worker: Process, status: int) -> list[events.Event]:
        del self.workers[worker.serial]
        status = SIGKILL if worker.killed else status
        return [events.WorkerExited(generation=worker.generation, serial=worker.serial, status=status)]

    def goes_on_well(self) -> list[events.Event]:
        """The next thing that happens if nobody fails, hangs or crashes; nothing if all wait."""
        for generation in self.preparing:
            return self.generation_is_prepared(generation, self.next_options)
        if self.replacing:
            return self.program_is_replaced()
        for zygote in self.zygotes.values():
            if zygote.killed or zygote.closed or zygote.failed:
                return self.zygote_exits(zygote, 0)
            if not zygote.ready:
                return self.zygote_opens(zygote)
            if zygote.forks:
                return self.zygote_forks(zygote)
        for worker in self.born:
            if not worker.holds_its_slot or worker.failed:
                return self.worker_exits(worker, 0)
            if not worker.ready:
                return self.worker_gets_ready(worker)
            if worker.stalled:
                return self.worker_recovers(worker)
        return []

    def buries_the_killed(self) -> list[events.Event]:
        """The next thing that happens if everybody hangs who is not forced; nothing if all do."""
        for zygote in self.zygotes.values():
            if zygote.killed:
                return self.zygote_exits(zygote, 0)
        for worker in self.born:
            if worker.killed:
                return self.worker_exits(worker, 0)
        return []
