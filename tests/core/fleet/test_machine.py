"""Any history whatever: what always holds (`world`), and what comes about in the end."""

from __future__ import annotations

import copy

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sdserve.core.fleet import effects, events, queries
from sdserve.core.fleet.machine import Fleet, step
from sdserve.core.fleet.model import DUMP_TIME, Phase, WorkerState, ZygoteState
from sdserve.core.fleet.options import FleetOptions
from tests.core.fleet import arrows
from tests.core.fleet.kernel import Kernel, Process, Zygote
from tests.core.fleet.world import World

STATUSES = st.sampled_from([0, 1, 3, -9, -11])
SECONDS = st.sampled_from([0.001, 0.5, 1.0, 3.0, 9.0, 10.0, 20.0, 60.0, 1000.0])
OPTIONS = st.builds(
    FleetOptions,
    count=st.sampled_from([1, 2, 2, 3, 10]),
    min_ready=st.sampled_from([0, 0, 1]),
    boot_timeout=st.sampled_from([10.0, 60.0]),
    drain_timeout=st.sampled_from([5.0, 30.0]),
    surge=st.sampled_from([1, 1, 2]),
)
BAD = (ZygoteState.FAILED, ZygoteState.KILLED)
BEGINNINGS = st.sampled_from(["new", "new", "full", "full", "full", "rolling"])


def follows_the_arrows(fleet: Fleet, event: events.Event, now: float) -> None:
    """Those of the manual."""
    assert arrows.trace(fleet, event, now) <= arrows.walk()


class Histories(RuleBasedStateMachine):
    """Most of them begin with a full fleet, or with one that rolls: chance hardly ever leads to these."""

    world: World

    @initialize(options=OPTIONS, later=OPTIONS, beginning=BEGINNINGS)
    def begin(self, options: FleetOptions, later: FleetOptions, beginning: str) -> None:
        self.world = World(options)
        self.world.kernel.next_options = later
        self.world.told = follows_the_arrows
        self.token = 0
        if beginning == "new":
            return
        self.world.tell(events.Started())
        self.world.runs_dry(Kernel.goes_on_well)
        assert self.world.fleet.phase is Phase.SERVING
        if beginning == "rolling":
            self.world.tell(events.ReloadAsked(self._new_token()))
            while self.world.fleet.candidate:
                assert self.world.goes_on(Kernel.goes_on_well)

    def _new_token(self) -> int:
        self.token += 1
        return self.token

    def _zygotes(self) -> list[Zygote]:
        return list(self.world.kernel.zygotes.values())

    def _unopened(self) -> list[Zygote]:
        return [zygote for zygote in self._zygotes() if not (zygote.ready or zygote.failed)]

    def _born(self) -> list[Process]:
        return self.world.kernel.born

    def _ready(self) -> list[Process]:
        return [worker for worker in self._born() if worker.ready]

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
    @rule(data=st.data(), status=STATUSES)
    def worker_exits(self, data: st.DataObject, status: int) -> None:
        worker = data.draw(st.sampled_from(self._born()))
        self.world.tell(*self.world.kernel.worker_exits(worker, status))

    @precondition(lambda self: self._ready())
    @rule(data=st.data())
    def worker_wants_to_be_replaced(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._ready()))
        self.world.tell(events.RecycleAsked(worker.generation, worker.serial, "old age"))

    @precondition(lambda self: self._ready())
    @rule(data=st.data())
    def worker_stalls_or_recovers(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._ready()))
        kernel = self.world.kernel
        told = kernel.worker_recovers(worker) if worker.stalled else kernel.worker_stalls(worker, 61.0)
        self.world.tell(*told)

    @precondition(lambda self: self.world.fleet.phase is not Phase.NEW)
    @rule(waits=st.booleans(), upgrade=st.booleans())
    def reload_is_asked(self, waits: bool, upgrade: bool) -> None:
        self.world.tell(events.ReloadAsked(self._new_token() if waits else 0, upgrade))

    @precondition(lambda self: self.world.kernel.preparing)
    @rule(
        data=st.data(), options=OPTIONS, well=st.sampled_from([True, True, True, False]), same=st.booleans()
    )
    def preparation_is_answered(
        self, data: st.DataObject, options: FleetOptions, well: bool, same: bool
    ) -> None:
        kernel = self.world.kernel
        number = data.draw(st.sampled_from(sorted(kernel.preparing)))
        if well:
            self.world.tell(*kernel.generation_is_prepared(number, options, replace_program=not same))
        else:
            self.world.tell(*kernel.generation_is_refused(number))

    @precondition(lambda self: self.world.kernel.replacing)
    @rule(well=st.booleans())
    def program_is_replaced_or_not(self, well: bool) -> None:
        kernel = self.world.kernel
        self.world.tell(
            *(kernel.program_is_replaced() if well else kernel.program_is_not_replaced(max(kernel.replacing)))
        )

    @precondition(lambda self: self.world.fleet.phase is not Phase.NEW)
    @rule(count=st.integers(0, 5), waits=st.booleans())
    def another_number_is_asked_for(self, count: int, waits: bool) -> None:
        self.world.tell(events.ScaleAsked(self._new_token() if waits else 0, count))

    @precondition(lambda self: self.world.fleet.phase is not Phase.NEW)
    @rule(by=st.sampled_from([-1, 1]))
    def one_more_or_less_is_asked_for(self, by: int) -> None:
        self.world.tell(events.ScaleChanged(by))

    @rule(steps=st.integers(1, 12))
    def all_goes_well_for_a_while(self, steps: int) -> None:
        for _ in range(steps):
            if came := self.world.kernel.goes_on_well():
                self.world.tell(*came)
                self.world.check()

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

    @precondition(lambda self: self.world.fleet.phase is not Phase.NEW)
    @rule(really=st.sampled_from([True, False, False, False]))
    def nobody_has_been_there(self, really: bool) -> None:
        if really:
            self.world.tell(events.WentIdle(600.0))

    @rule(
        event=st.sampled_from(
            [
                events.ForkFailed(generation=1, serial=10**6, reason=""),
                events.WorkerReady(1, 10**6),
                events.WorkerFailed(generation=999, serial=1, reason=""),
                events.WorkerExited(generation=999, serial=2, status=0),
                events.WorkerForked(generation=999, serial=1, pid=10**6),
                events.ZygoteReady(999),
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
            world.is_at_rest()
        else:
            assert world.fleet.phase is Phase.ENDED
            assert self._is_doomed()

    def _is_doomed(self) -> bool:
        """Whether the harm had been done before everybody mended their ways."""
        fleet = self.world.fleet
        if not queries.is_running(fleet):
            return fleet.phase is not Phase.NEW
        return not fleet.generations[fleet.current].served and (
            any(slot.failures for slot in fleet.slots.values())
            or any(one.failures or one.zygote in BAD for one in fleet.generations.values())
            or queries.workers_in(fleet, WorkerState.FAILED, WorkerState.KILLED) != []
        )

    def _stops_if_nobody_fails_any_more(self) -> None:
        world = self._stopping()
        world.runs_dry(Kernel.goes_on_well)
        assert world.fleet.phase is Phase.ENDED

    def _stops_in_time_even_if_everybody_hangs(self) -> None:
        # Those of before: a generation that nobody is left of is dropped as soon as it stops.
        options = [generation.options for generation in self.world.fleet.generations.values()]
        world = self._stopping()
        latest = world.now + max((one.drain_limit for one in options), default=0)
        world.runs_dry(Kernel.buries_the_killed)
        assert world.fleet.phase is Phase.ENDED
        assert world.now <= latest + DUMP_TIME

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
