"""A fleet, the kernel that obeys it, and the clock, with all that holds whatever happens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from sdserve.core.fleet import effects, events, queries, snapshot
from sdserve.core.fleet.machine import Fleet, settle, step
from sdserve.core.fleet.model import DUMP_TIME, Phase, Worker, WorkerState, ZygoteState
from sdserve.core.fleet.options import FleetOptions
from tests.core.fleet.kernel import Kernel

OF_THOSE_IN_THEIR_SLOTS = (
    WorkerState.FORKING,
    WorkerState.BOOTING,
    WorkerState.READY,
    WorkerState.STALLED,
    WorkerState.FAILED,
)
THAT_TAKE_CONNECTIONS = (WorkerState.READY, WorkerState.STALLED)
MANY = 3000
"""Steps after which something that is to come about in the end has not."""

Orders = tuple[effects.Effect, ...]


class World:
    """Checks each single step, and with `check` what holds between steps."""

    def __init__(self, options: FleetOptions) -> None:
        self.fleet = Fleet(options=options)
        self.kernel = Kernel()
        self.kernel.next_options = options
        self.now = 1000.0
        self.said: Counter[type[effects.Effect]] = Counter()
        self.status = ""
        self.is_up = False
        """Whether the service manager believes so, that is, READY=1 came and neither of the others since."""
        self.tried: set[int] = set()
        """Generations that a worker was forked of while they were on trial."""
        self.told: Callable[[Fleet, events.Event, float], None] = lambda fleet, event, now: None
        """Is called with each step: the fleet before, what it is told, and when."""
        self.gave_up = False
        """Whether it began to stop although nobody asked it to."""

    def tell(self, *told: events.Event) -> None:
        """Tell the events and what comes of the orders they lead to, in the order they happen."""
        pending = list(told)
        while pending:
            event = pending.pop(0)
            before = self.fleet
            self.kernel.is_heard(event)
            if isinstance(event, events.Resumed):
                # Another program goes on: what it has is what this one wrote down.
                before = snapshot.decode(json.loads(json.dumps(snapshot.encode(before))))
                assert before == self.fleet, "something was lost on the way"
            if token := getattr(event, "token", 0):
                self.kernel.waiting.add(token)
            self.told(before, event, self.now)
            self.fleet, orders = step(before, event, self.now)
            self._check_step(before, event, orders)
            for order in orders:
                pending += self.kernel.perform(order)
            if before.phase is Phase.ENDED and token:
                self.kernel.waiting.remove(token)  # it sees that the supervisor is gone

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(events.TimePassed())

    def _check_step(self, before: Fleet, event: events.Event, orders: Orders) -> None:
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
        self._check_nobody_is_missed(before, event)
        if self.fleet.last_reload != before.last_reload:
            self._check_outcome(before)

    def _check_order(self, before: Fleet, order: effects.Effect) -> None:
        assert not self.said[effects.Exit]
        self.said[type(order)] += 1
        match order:
            case effects.NotifyStatus(text=text):
                assert text != self.status
                assert text.isprintable()
                self.status = text
            case effects.NotifyReady() | effects.NotifyReloading() | effects.NotifyStopping():
                self._check_notice(before, order)
            case (
                effects.Fork()
                | effects.OpenGeneration()
                | effects.PrepareGeneration()
                | effects.ReplaceProgram()
            ):
                assert self.fleet.phase in (Phase.BOOTING, Phase.SERVING), "stopping, yet something begins"
                if isinstance(order, effects.Fork) and order.generation == self.fleet.candidate:
                    assert order.generation not in self.tried, "a generation is tried twice"
                    self.tried.add(order.generation)
            case effects.Drain():
                self._check_drain(before, order)
            case effects.ExtendTimeout(seconds=seconds):
                assert self.fleet.phase is not Phase.SERVING or self.fleet.reload
                assert 5 <= seconds <= 100
            case effects.Exit(code=code):
                assert code == self.fleet.exit_code
                assert code == (3 if self.gave_up else 0)

    def _check_notice(self, before: Fleet, order: effects.Effect) -> None:
        match order:
            case effects.NotifyReady():
                assert not self.is_up
                assert "erving" in self.status
                if before.phase is Phase.BOOTING:
                    ready = [worker for worker in self.kernel.born if worker.ready and worker.holds_its_slot]
                    count = len(self.fleet.slots)
                    assert len(ready) >= min(self.fleet.options.min_ready or count, count)
            case effects.NotifyReloading():
                assert self.is_up
        self.is_up = isinstance(order, effects.NotifyReady)

    def _check_drain(self, before: Fleet, order: effects.Drain) -> None:
        """Ready before retire, and who goes hands over to the generation that stays."""
        assert order.heir == (0 if self.fleet.phase is Phase.STOPPING else self.fleet.current)
        worker = before.workers[order.serial]
        slot = self.fleet.slots.get(worker.slot)
        if worker.state is WorkerState.DRAINING:
            assert worker.heir != order.heir, "it knows"
        elif self.fleet.phase is not Phase.STOPPING and slot is not None:
            heir = self.fleet.workers[slot.occupant or 0]
            assert heir.state is WorkerState.READY
            assert heir.generation == self.fleet.current

    def _check_others(self, before: Fleet, event: events.WorkerEvent) -> None:
        """An event changes nobody but whom it names and whose slot that takes over, unless it is a turn."""
        fleet = self.fleet
        if (fleet.phase, fleet.current, fleet.candidate) != (before.phase, before.current, before.candidate):
            return
        for serial, worker in before.workers.items():
            if serial != event.serial and fleet.workers[serial] != worker:
                slot = before.slots[worker.slot]
                assert (slot.occupant, slot.successor) == (serial, event.serial)
        new = set(fleet.workers) - set(before.workers) - {event.serial}
        assert {fleet.workers[serial].state for serial in new} <= {WorkerState.FORKING}

    def _check_nobody_is_missed(self, before: Fleet, event: events.Event) -> None:
        """Never fewer ready workers, unless one went by itself or fewer were asked for."""
        if not queries.is_running(self.fleet):
            return
        named = getattr(event, "serial", None)
        for worker in queries.workers_in(before, WorkerState.READY):
            slot = self.fleet.slots.get(worker.slot)
            if worker.serial != named and slot is not None:
                occupant = queries.occupant_of(self.fleet, slot)
                assert occupant is not None
                assert occupant.state is WorkerState.READY, "a slot is not served any more"

    def _check_outcome(self, before: Fleet) -> None:
        """Of a reload that has ended with this step."""
        fleet, outcome = self.fleet, self.fleet.last_reload
        assert outcome is not None
        assert outcome.at == self.now
        if not outcome.ok:
            assert outcome.text
            assert fleet.current != outcome.generation or "none to go back to" in outcome.text
            return
        assert outcome.generation == fleet.current
        for slot in fleet.slots.values():
            worker = queries.occupant_of(fleet, slot)
            assert worker is not None
            assert (worker.generation, worker.state) == (fleet.current, WorkerState.READY)
        assert len(fleet.slots) == fleet.generations[fleet.current].count

    def _check_nobody_is_overdue(self, before: Fleet, orders: Orders) -> None:
        deadline = queries.next_deadline(self.fleet)
        assert deadline is None or deadline > self.now, "the loop would spin"
        for worker in before.workers.values():
            if worker.deadline is not None and worker.deadline <= self.now:
                self._check_reckoning(worker, orders)
        for generation in before.generations.values():
            if generation.deadline is None or generation.deadline > self.now:
                continue
            if generation.zygote in (ZygoteState.PREPARING, ZygoteState.REPLACING):
                assert effects.DropGeneration(generation.number) in orders
            else:
                assert effects.KillZygote(generation.number) in orders
                assert self.fleet.generations[generation.number].zygote is ZygoteState.KILLED

    def _check_reckoning(self, worker: Worker, orders: Orders) -> None:
        """Of one that has missed its deadline: seen first, then killed."""
        after = self.fleet.workers[worker.serial]
        if worker.is_unborn or worker.is_dumped:
            assert effects.Kill(worker.generation, worker.serial) in orders
            assert after.state is WorkerState.KILLED
        else:
            assert effects.Dump(worker.generation, worker.serial) in orders
            if after.state is not WorkerState.KILLED:  # it may have lost what it booted for as well
                assert (after.state, after.deadline) == (worker.state, self.now + DUMP_TIME)

    def check(self) -> None:
        """What holds between steps."""
        self._check_against_the_kernel()
        self._check_deadlines()
        self._check_heirs()
        fleet = self.fleet
        assert fleet.status == self.status
        assert self.said[effects.NotifyStopping] <= 1
        assert self.said[effects.Exit] == (fleet.phase is Phase.ENDED)
        assert self.said[effects.NotifyStopping] == (fleet.phase in (Phase.STOPPING, Phase.ENDED))
        if fleet.phase is Phase.SERVING:
            assert self.is_up == (fleet.reload is None), "the service manager is told something else"
        if queries.is_running(fleet):
            self._check_slots()
            self._check_generations()
        else:
            assert not self.kernel.waiting, "somebody waits for ever"

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
            if generation.zygote not in (ZygoteState.ABSENT, ZygoteState.PREPARING, ZygoteState.REPLACING)
        }
        assert zygotes == set(self.kernel.zygotes)

        for worker in queries.workers_in(self.fleet, *THAT_TAKE_CONNECTIONS):
            assert self.kernel.workers[worker.serial].serves, "ready, yet it takes no connection"
        for worker in queries.workers_in(self.fleet, WorkerState.FORKING, WorkerState.BOOTING):
            assert not self.kernel.workers[worker.serial].serves, "it may be killed, and takes connections"

    def _check_heirs(self) -> None:
        heir = self.fleet.current if queries.is_running(self.fleet) else 0
        for worker in queries.workers_in(self.fleet, WorkerState.DRAINING):
            if self.kernel.workers[worker.serial].drained:
                assert self.kernel.workers[worker.serial].heir == heir, "it hands over to who is to go"

    def _check_slots(self) -> None:
        fleet = self.fleet
        for slot in fleet.slots.values():
            assert 0 <= slot.delay <= fleet.options.backoff_longest
            assert slot.retry_at <= self.now + slot.delay
            assert slot.occupant is None or fleet.workers[slot.occupant].slot == slot.number
            if successor := queries.successor_of(fleet, slot):
                assert successor.slot == slot.number
                assert successor.state is not WorkerState.READY
                assert successor.generation in (fleet.current, fleet.candidate)
            if slot.wish:
                assert slot.occupant is not None
        placed = [
            queries.slot_of(fleet, worker) for worker in queries.workers_in(fleet, *OF_THOSE_IN_THEIR_SLOTS)
        ]
        assert None not in [
            slot
            for slot, worker in zip(placed, queries.workers_in(fleet, *OF_THOSE_IN_THEIR_SLOTS), strict=True)
            if worker.state is not WorkerState.FAILED
        ]
        booting_or_ready = sum(slot is not None for slot in placed)
        assert booting_or_ready <= len(fleet.slots) + fleet.options.surge + 1
        surplus = [number for number in fleet.slots if number > queries.wanted_count(fleet)]
        canary = queries.canary(fleet)
        assert surplus in ([], [canary.slot] if canary else [])
        assert set(range(1, queries.wanted_count(fleet) + 1)) <= set(fleet.slots)

    def _check_generations(self) -> None:
        fleet = self.fleet
        on_trial = [
            worker
            for worker in queries.workers_of(fleet, fleet.candidate)
            if worker.state in OF_THOSE_IN_THEIR_SLOTS
        ]
        assert len(on_trial) <= 1
        assert fleet.options == fleet.generations[fleet.current].options
        assert bool(fleet.candidate) <= (fleet.reload is not None)
        if fleet.reload:
            assert fleet.reload.generation == (fleet.candidate or fleet.current)
        if fleet.paused:
            assert fleet.candidate
            assert fleet.paused.generation == fleet.current
        waiting = [token for one in (fleet.reload, fleet.paused) if one for token in one.tokens]
        waiting += [scaling.token for scaling in fleet.scalings]
        assert sorted(waiting) == sorted(self.kernel.waiting)

    def _check_deadlines(self) -> None:
        for generation in self.fleet.generations.values():
            limited = generation.zygote in (
                ZygoteState.PREPARING,
                ZygoteState.REPLACING,
                ZygoteState.OPENING,
                ZygoteState.CLOSING,
            )
            assert (generation.deadline is not None) == limited, "no end, or one that is not due"
        for worker in self.fleet.workers.values():
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

    def is_at_rest(self) -> None:
        """All slots are full with the current generation, and nobody else is there."""
        fleet = self.fleet
        assert queries.is_rolled_out(fleet)
        assert len(fleet.workers) == len(fleet.slots) == fleet.generations[fleet.current].count
        assert set(fleet.generations) == set(self.kernel.zygotes) == self.kernel.prepared == {fleet.current}
        assert (fleet.candidate, fleet.previous, fleet.reload, fleet.paused) == (0, 0, None, None)
        assert not any(slot.wish or slot.successor for slot in fleet.slots.values())
        assert not self.kernel.waiting
        assert self.is_up
        count = len(fleet.slots)
        assert self.status.startswith(f"Serving, {count} of {count} workers ready")
        for word in ("draining", "slot", "stalled", "zygote", "rolled"):
            outcome = fleet.last_reload
            assert word not in self.status or (outcome and word in outcome.text)
