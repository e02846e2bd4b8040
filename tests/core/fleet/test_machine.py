"""Any history whatever: what always holds, and what comes about in the end."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sdserve.core.fleet import effects, events, queries
from sdserve.core.fleet.machine import Fleet, settle, step
from sdserve.core.fleet.model import Phase, WorkerState, ZygoteState
from sdserve.core.fleet.options import FleetOptions
from tests.core.fleet.kernel import Kernel, Process, Zygote

STATUSES = st.sampled_from([0, 1, 3, -9, -11])
SECONDS = st.sampled_from([0.001, 0.5, 1.0, 3.0, 9.0, 10.0, 20.0, 60.0, 1000.0])
OPTIONS = st.builds(
    FleetOptions,
    count=st.sampled_from([1, 2, 2, 3, 10]),
    boot_timeout=st.sampled_from([10.0, 60.0]),
    drain_timeout=st.sampled_from([5.0, 30.0]),
)
ORDERS_TO_WORKERS = (effects.Fork, effects.Drain, effects.Kill)
OF_THOSE_IN_THEIR_SLOTS = (WorkerState.FORKING, WorkerState.BOOTING, WorkerState.READY, WorkerState.FAILED)
MANY = 2000
"""Steps after which something that is to come about in the end has not."""


class World:
    """A fleet, the kernel that obeys it, and the clock; checks what holds of every single step."""

    def __init__(self, options: FleetOptions) -> None:
        self.fleet = Fleet(options=options)
        self.kernel = Kernel()
        self.now = 1000.0
        self.said: Counter[type[effects.Effect]] = Counter()
        self.status = ""
        self.gave_up = False
        """Whether it began to stop although nobody asked it to."""

    def tell(self, *told: events.Event) -> None:
        """Tell the events and what comes of the orders they lead to, in the order they happen."""
        pending = list(told)
        while pending:
            event = pending.pop(0)
            before = self.fleet
            self.kernel.is_heard(event)
            self.fleet, orders = step(before, event, self.now)
            self._check_step(before, event, orders)
            for order in orders:
                pending += self.kernel.perform(order)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(events.TimePassed())

    def _check_step(self, before: Fleet, event: events.Event, orders: tuple[effects.Effect, ...]) -> None:
        assert settle(self.fleet, self.now) == (self.fleet, ()), "there was more to do"
        if before.phase is Phase.ENDED:
            assert orders == ()
        if before.phase is Phase.BOOTING and not isinstance(event, events.StopAsked):
            self.gave_up |= self.fleet.phase in (Phase.STOPPING, Phase.ENDED)
        for order in orders:
            assert not (isinstance(order, effects.Log) and "contradicts" in order.text), order.text
            self._check_order(before, order)
        if self.said[effects.Exit]:
            assert orders == () or isinstance(orders[-1], effects.Exit), "something after the exit"
        if isinstance(event, events.WorkerEvent):
            self._check_others(before, event)
        if isinstance(event, events.TimePassed):
            self._check_nobody_is_overdue(before, orders)

    def _check_order(self, before: Fleet, order: effects.Effect) -> None:
        assert not self.said[effects.Exit]
        self.said[type(order)] += 1
        match order:
            case effects.NotifyStatus(text=text):
                assert text != self.status
                assert text.isprintable()
                self.status = text
            case effects.NotifyReady():
                assert before.phase is Phase.BOOTING
                assert {slot.occupant for slot in self.fleet.slots.values()} == {
                    worker.serial for worker in self.kernel.born if worker.ready and worker.holds_its_slot
                }
                assert self.status.startswith("Serving")
            case effects.Fork() | effects.OpenGeneration():
                assert self.fleet.phase in (Phase.BOOTING, Phase.SERVING), "stopping, yet something begins"
            case effects.Drain():
                assert self.fleet.phase is Phase.STOPPING
            case effects.Exit(code=code):
                assert code == self.fleet.exit_code
                assert code == (3 if self.gave_up else 0)

    def _check_others(self, before: Fleet, event: events.WorkerEvent) -> None:
        """An event changes nobody but whom it names, unless it is the last straw."""
        if self.fleet.phase is not before.phase:
            return
        after = self.fleet.workers
        for serial, worker in before.workers.items():
            if (serial, worker.generation) != (event.serial, event.generation):
                assert after[serial] == worker
        new = set(after) - set(before.workers) - {event.serial}
        assert {after[serial].state for serial in new} <= {WorkerState.FORKING}

    def _check_nobody_is_overdue(self, before: Fleet, orders: tuple[effects.Effect, ...]) -> None:
        deadline = queries.next_deadline(self.fleet)
        assert deadline is None or deadline > self.now, "the loop would spin"
        for worker in before.workers.values():
            if worker.deadline is not None and worker.deadline <= self.now:
                assert effects.Kill(worker.generation, worker.serial) in orders
                assert self.fleet.workers[worker.serial].state is WorkerState.KILLED
        for generation in before.generations.values():
            if generation.deadline is not None and generation.deadline <= self.now:
                assert effects.KillZygote(generation.number) in orders
                assert self.fleet.generations[generation.number].zygote is ZygoteState.KILLED

    def check(self) -> None:
        """What holds between steps."""
        self._check_against_the_kernel()
        self._check_slots()
        assert self.fleet.status == self.status
        assert self.said[effects.NotifyReady] <= 1
        assert self.said[effects.NotifyStopping] <= 1
        assert self.said[effects.Exit] == (self.fleet.phase is Phase.ENDED)
        assert self.said[effects.NotifyStopping] == (self.fleet.phase in (Phase.STOPPING, Phase.ENDED))
        if self.fleet.phase is Phase.SERVING:
            assert self.said[effects.NotifyReady]

    def _check_against_the_kernel(self) -> None:
        known = self.fleet.workers
        assert set(known) == set(self.kernel.workers)
        assert all(
            known[serial].pid == (worker.pid or None) for serial, worker in self.kernel.workers.items()
        )
        pids = [worker.pid for worker in known.values() if worker.pid is not None]
        assert len(set(pids)) == len(pids)
        zygotes = {
            number
            for number, generation in self.fleet.generations.items()
            if generation.zygote is not ZygoteState.ABSENT
        }
        assert zygotes == set(self.kernel.zygotes)
        places = Counter(
            (worker.generation, worker.slot)
            for worker in self.kernel.workers.values()
            if worker.holds_its_slot
        )
        assert set(places.values()) <= {1}, "two workers in one slot"

    def _check_slots(self) -> None:
        fleet = self.fleet
        for slot in fleet.slots.values():
            assert 0 <= slot.delay <= fleet.options.backoff_longest
            assert slot.retry_at <= self.now + slot.delay
            assert slot.occupant is None or fleet.workers[slot.occupant].slot == slot.number
        if queries.is_running(fleet):
            assert all(
                queries.holds_slot(fleet, worker)
                for worker in fleet.workers.values()
                if worker.state in OF_THOSE_IN_THEIR_SLOTS
            )
            assert len(fleet.slots) == fleet.options.count
        for generation in fleet.generations.values():
            limited = generation.zygote in (ZygoteState.OPENING, ZygoteState.CLOSING)
            assert (generation.deadline is not None) == limited, "no end, or one that is not due"
        for worker in fleet.workers.values():
            limited = worker.state not in (WorkerState.READY, WorkerState.KILLED)
            assert (worker.deadline is not None) == limited, "no end, or one that is not due"

    def goes_on(self, happens: Callable[[Kernel], list[events.Event]]) -> bool:
        """Go on by one step: something happens, or else time passes; False if neither will."""
        if came := happens(self.kernel):
            self.tell(*came)
        elif (deadline := queries.next_deadline(self.fleet)) is not None:
            self.passes(max(0.0, deadline - self.now))
        else:
            return False
        self.check()
        return True

    def runs_dry(self, happens: Callable[[Kernel], list[events.Event]]) -> None:
        """Go on until nothing is left to happen."""
        for _ in range(MANY):
            if not self.goes_on(happens):
                return
        raise AssertionError(f"it never comes to rest: {self.fleet}")


class Histories(RuleBasedStateMachine):
    """Half of them begin with a full fleet: chance hardly ever leads to one."""

    world: World

    @initialize(options=OPTIONS, full=st.booleans())
    def begin(self, options: FleetOptions, full: bool) -> None:
        self.world = World(options)
        if full:
            self.world.tell(events.Started())
            self.world.runs_dry(Kernel.goes_on_well)
            assert self.world.fleet.phase is Phase.SERVING

    def _zygotes(self) -> list[Zygote]:
        return list(self.world.kernel.zygotes.values())

    def _unopened(self) -> list[Zygote]:
        return [zygote for zygote in self._zygotes() if not (zygote.ready or zygote.failed)]

    def _born(self) -> list[Process]:
        return self.world.kernel.born

    @precondition(lambda self: self.world.fleet.phase is Phase.NEW)
    @rule()
    def start(self) -> None:
        self.world.tell(events.Started())

    @precondition(lambda self: self._unopened())
    @rule(data=st.data(), well=st.sampled_from([True, True, True, False]))
    def zygote_opens_or_is_not_started(self, data: st.DataObject, well: bool) -> None:
        kernel = self.world.kernel
        zygote = data.draw(st.sampled_from(self._unopened()))
        self.world.tell(*(kernel.zygote_opens(zygote) if well else kernel.zygote_is_not_started(zygote)))

    @precondition(lambda self: self._zygotes())
    @rule(data=st.data())
    def zygote_fails(self, data: st.DataObject) -> None:
        zygote = data.draw(st.sampled_from(self._zygotes()))
        self.world.tell(*self.world.kernel.zygote_fails(zygote))

    @precondition(lambda self: self._zygotes())
    @rule(data=st.data(), status=STATUSES, told=st.booleans())
    def zygote_exits(self, data: st.DataObject, status: int, told: bool) -> None:
        zygote = data.draw(st.sampled_from(self._zygotes()))
        self.world.tell(*self.world.kernel.zygote_exits(zygote, status, told=told))

    @precondition(lambda self: any(zygote.forks for zygote in self._zygotes()))
    @rule(data=st.data(), well=st.sampled_from([True, True, True, False]))
    def zygote_forks_or_refuses(self, data: st.DataObject, well: bool) -> None:
        kernel = self.world.kernel
        zygote = data.draw(st.sampled_from([zygote for zygote in self._zygotes() if zygote.forks]))
        self.world.tell(*(kernel.zygote_forks(zygote) if well else kernel.zygote_refuses(zygote)))

    @precondition(lambda self: self.world.kernel.lost and not self.world.kernel.exit_code)
    @rule(data=st.data())
    def lost_worker_turns_up(self, data: st.DataObject) -> None:
        if self.world.fleet.phase is not Phase.ENDED:
            serial = data.draw(st.sampled_from(sorted(self.world.kernel.lost)))
            self.world.tell(*self.world.kernel.lost_worker_turns_up(serial))

    @precondition(lambda self: self._born())
    @rule(data=st.data())
    def worker_gets_ready(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._born()))
        self.world.tell(*self.world.kernel.worker_gets_ready(worker))

    @precondition(lambda self: self._born())
    @rule(data=st.data())
    def worker_fails(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._born()))
        self.world.tell(*self.world.kernel.worker_fails(worker))

    @precondition(lambda self: self._born())
    @rule(data=st.data())
    def worker_drains(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._born()))
        self.world.tell(*self.world.kernel.worker_drains(worker))

    @precondition(lambda self: self._born())
    @rule(data=st.data(), status=STATUSES)
    def worker_exits(self, data: st.DataObject, status: int) -> None:
        worker = data.draw(st.sampled_from(self._born()))
        self.world.tell(*self.world.kernel.worker_exits(worker, status))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.world.passes(seconds)

    @rule()
    def deadline_comes(self) -> None:
        deadline = queries.next_deadline(self.world.fleet)
        if deadline is not None:
            self.world.passes(max(0.0, deadline - self.world.now))

    @precondition(lambda self: self.world.fleet.phase is not Phase.NEW)
    @rule(really=st.sampled_from([True, False, False]))
    def stop_is_asked(self, really: bool) -> None:
        if really:
            self.world.tell(events.StopAsked())

    @rule(
        event=st.sampled_from(
            [
                events.ForkFailed(generation=1, serial=10**6, reason=""),
                events.WorkerReady(1, 10**6),
                events.WorkerFailed(generation=2, serial=1, reason=""),
                events.WorkerDraining(2, 1),
                events.WorkerExited(generation=2, serial=2, status=0),
                events.WorkerForked(generation=2, serial=1, pid=10**6),
                events.ZygoteReady(2),
                events.ZygoteExited(0, 0),
            ]
        )
    )
    def nonsense_is_told(self, event: events.Event) -> None:
        before = self.world.fleet
        if isinstance(event, events.WorkerForked) and event.serial not in before.workers:
            return  # not nonsense, but a stray
        after, orders = step(before, event, self.world.now)
        assert after == before
        assert all(isinstance(order, effects.Log) for order in orders)

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self._comes_up_if_nobody_fails_any_more()
        self._stops_if_nobody_fails_any_more()
        self._stops_in_time_even_if_everybody_hangs()
        self._stops_now_when_asked_twice()

    def _comes_up_if_nobody_fails_any_more(self) -> None:
        world = copy.deepcopy(self.world)
        if world.fleet.phase is Phase.NEW:
            world.tell(events.Started())
        world.runs_dry(Kernel.goes_on_well)
        if world.fleet.phase is Phase.SERVING:
            assert queries.all_ready(world.fleet)
            assert not queries.workers_in(world.fleet, WorkerState.DRAINING, WorkerState.KILLED)
            count = world.fleet.options.count
            assert world.status == f"Serving, {count} of {count} workers ready"
        else:
            assert world.fleet.phase is Phase.ENDED
            assert self._is_doomed()

    def _is_doomed(self) -> bool:
        """Whether the harm had been done before everybody mended their ways."""
        fleet = self.world.fleet
        if not queries.is_running(fleet):
            return fleet.phase is not Phase.NEW
        generation = fleet.generations[fleet.current]
        return not generation.served and (
            generation.zygote in (ZygoteState.FAILED, ZygoteState.KILLED)
            or queries.workers_in(fleet, WorkerState.FAILED, WorkerState.KILLED) != []
        )

    def _stops_if_nobody_fails_any_more(self) -> None:
        world = self._stopping()
        world.runs_dry(Kernel.goes_on_well)
        assert world.fleet.phase is Phase.ENDED

    def _stops_in_time_even_if_everybody_hangs(self) -> None:
        world = self._stopping()
        latest = world.now + world.fleet.options.drain_limit
        world.runs_dry(Kernel.buries_the_killed)
        assert world.fleet.phase is Phase.ENDED
        assert world.now <= latest

    def _stops_now_when_asked_twice(self) -> None:
        world = self._stopping()
        now = world.now
        world.tell(events.StopAsked())
        world.runs_dry(Kernel.buries_the_killed)
        assert world.fleet.phase is Phase.ENDED
        assert world.now == now

    def _stopping(self) -> World:
        world = copy.deepcopy(self.world)
        if world.fleet.phase not in (Phase.STOPPING, Phase.ENDED):
            world.tell(events.StopAsked())
        return world


TestHistories = Histories.TestCase
TestHistories.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
