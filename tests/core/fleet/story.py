"""A fleet driven by hand, in the words of what happens to it."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import events, queries
from sdserve.core.fleet.effects import Dump, Effect, ExtendTimeout, Fork, Log, NotifyStatus, Serve
from sdserve.core.fleet.machine import Fleet, step
from sdserve.core.fleet.model import DUMP_TIME, Generation, Slot, Worker
from sdserve.core.fleet.options import FleetOptions


class Story:
    """Each verb tells the fleet one event and returns the orders it answers with.

    What is said to people is no order: it is in `log` and `status`. Nor is a request to wait longer, and that
    who is ready is to serve goes without saying: they are in `effects`.
    """

    def __init__(self, count: int = 2, **options: float) -> None:
        self.fleet = Fleet(options=replace(FleetOptions(count=count, drain_timeout=25.0), **options))
        self.now = 1000.0
        self.log: list[str] = []
        self.effects: list[Effect] = []
        """Of the last event, all of them."""

    @property
    def status(self) -> str:
        return self.fleet.status

    @property
    def last_words(self) -> str:
        """The last line of the log."""
        return self.log[-1]

    @property
    def explained(self) -> list[str]:
        """The ids of what was last said."""
        return [effect.message_id for effect in self.effects if isinstance(effect, Log) and effect.message_id]

    def worker(self, serial: int) -> Worker:
        return self.fleet.workers[serial]

    def slot(self, number: int) -> Slot:
        return self.fleet.slots[number]

    @property
    def generation(self) -> Generation:
        return self.fleet.generations[1]

    def tell(self, event: events.Event) -> list[Effect]:
        self.fleet, told = step(self.fleet, event, self.now)
        self.effects = list(told)
        self.log += [effect.text for effect in told if isinstance(effect, Log)]
        unsaid = (Log, NotifyStatus, ExtendTimeout, Serve)
        return [effect for effect in told if not isinstance(effect, unsaid)]

    def starts(self) -> list[Effect]:
        return self.tell(events.Started())

    def is_told_to_stop(self) -> list[Effect]:
        return self.tell(events.StopAsked())

    def waits(self, seconds: float) -> list[Effect]:
        """Time passes in one leap."""
        self.now += seconds
        return self.tell(events.TimePassed())

    def waits_in_vain(self, seconds: float) -> list[Effect]:
        """Time passes until workers have missed deadlines, and then until their stacks are written."""
        orders = self.waits(seconds)
        assert orders
        assert all(isinstance(order, Dump) for order in orders)
        return self.waits(DUMP_TIME)

    def sleeps_until_the_deadline(self) -> list[Effect]:
        deadline = queries.next_deadline(self.fleet)
        assert deadline is not None
        assert deadline >= self.now
        return self.waits(deadline - self.now)

    def zygote_is_ready(self, generation: int = 1) -> list[Effect]:
        return self.tell(events.ZygoteReady(generation))

    def zygote_is_not_started(self, reason: str = "no such file", *, generation: int = 1) -> list[Effect]:
        return self.tell(events.ZygoteNotStarted(generation, reason))

    def zygote_fails(self, reason: str = "No module named 'shop'", *, generation: int = 1) -> list[Effect]:
        return self.tell(events.ZygoteFailed(generation, reason))

    def zygote_exits(self, status: int = 0, *, generation: int = 1) -> list[Effect]:
        return self.tell(events.ZygoteExited(generation, status))

    def worker_is_forked(self, serial: int, *, generation: int = 0, pid: int = 0) -> list[Effect]:
        pid = pid or 100 + serial
        return self.tell(
            events.WorkerForked(generation=generation or self._home(serial), serial=serial, pid=pid)
        )

    def fork_fails(self, serial: int, reason: str = "EAGAIN") -> list[Effect]:
        return self.tell(events.ForkFailed(generation=self._home(serial), serial=serial, reason=reason))

    def worker_is_ready(self, serial: int, *, generation: int = 0) -> list[Effect]:
        return self.tell(events.WorkerReady(generation or self._home(serial), serial))

    def worker_fails(self, serial: int, reason: str = "No module named 'shop'") -> list[Effect]:
        return self.tell(events.WorkerFailed(generation=self._home(serial), serial=serial, reason=reason))

    def worker_exits(
        self, serial: int, status: int = 0, *, generation: int = 0, oom: bool = False
    ) -> list[Effect]:
        generation = generation or self._home(serial)
        return self.tell(events.WorkerExited(generation=generation, serial=serial, status=status, oom=oom))

    def worker_wants_to_go(self, serial: int, reason: str = "max_requests") -> list[Effect]:
        return self.tell(events.RecycleAsked(self._home(serial), serial, reason))

    def worker_stalls(self, serial: int, *, busy: bool = False) -> list[Effect]:
        return self.tell(events.WorkerStalled(self._home(serial), serial, 60.0, busy=busy))

    def worker_recovers(self, serial: int) -> list[Effect]:
        return self.tell(events.WorkerRecovered(self._home(serial), serial))

    def worker_comes_up(self, serial: int) -> list[Effect]:
        return [*self.worker_is_forked(serial), *self.worker_is_ready(serial)]

    def worker_breaks(self, serial: int) -> list[Effect]:
        """Born, and dead before it was ready."""
        return [*self.worker_is_forked(serial), *self.worker_exits(serial, 1)]

    def _home(self, serial: int) -> int:
        """The worker's generation; that of one who is gone or never was does not matter."""
        worker = self.fleet.workers.get(serial)
        return worker.generation if worker else 1

    def is_told_to_reload(self, token: int = 0) -> list[Effect]:
        return self.tell(events.ReloadAsked(token))

    def is_told_to_upgrade(self, token: int = 0) -> list[Effect]:
        return self.tell(events.ReloadAsked(token, upgrade=True))

    def is_resumed(self) -> list[Effect]:
        return self.tell(events.Resumed())

    def program_is_not_replaced(self, generation: int, reason: str = "no such file") -> list[Effect]:
        return self.tell(events.ProgramNotReplaced(generation, reason))

    def goes_idle(self, seconds: float = 600.0) -> list[Effect]:
        return self.tell(events.WentIdle(seconds))

    def is_scaled_to(self, count: int, token: int = 0) -> list[Effect]:
        return self.tell(events.ScaleAsked(token, count))

    def generation_is_prepared(
        self, generation: int, remark: str = "", *, replace_program: bool = False, **options: float
    ) -> list[Effect]:
        """Its options are those of the current one but for `options`."""
        changed = replace(self.fleet.options, **options)
        return self.tell(events.GenerationPrepared(generation, changed, remark, replace_program))

    def generation_is_refused(
        self, generation: int, reason: str = "shop.ini:3: no such option"
    ) -> list[Effect]:
        return self.tell(events.GenerationRefused(generation, reason))


def opened(count: int = 2, **options: float) -> Story:
    """A story whose zygote is ready and whose first forks are ordered."""
    story = Story(count, **options)
    story.starts()
    story.zygote_is_ready()
    return story


def booting(count: int = 2, **options: float) -> Story:
    """A story whose first workers are born."""
    story = opened(count, **options)
    for serial in range(1, count + 1):
        story.worker_is_forked(serial)
    return story


def full(count: int = 2, **options: float) -> Story:
    """A story in which everybody is ready."""
    story = booting(count, **options)
    for serial in range(1, count + 1):
        story.worker_is_ready(serial)
    return story


def trying(count: int = 2, **options: float) -> Story:
    """A full story in which the first worker of generation 2 (serial: count + 1) boots; token 7 waits."""
    story = full(count, **options)
    story.is_told_to_reload(7)
    story.generation_is_prepared(2)
    story.zygote_is_ready(2)
    story.worker_is_forked(count + 1)
    return story


def rolling(count: int = 2, **options: float) -> Story:
    """One in which that worker has become ready, and the next one was ordered."""
    story = trying(count, **options)
    story.worker_is_ready(count + 1)
    return story


def fork(serial: int, slot: int, generation: int = 1) -> Fork:
    return Fork(generation=generation, serial=serial, slot=slot)
