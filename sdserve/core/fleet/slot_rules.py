"""What follows from the state of the slots: who gets a worker, who a successor, and who has to go.

Nobody is told to go before the successor is ready, unless there are to be fewer slots.
"""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import backoff, leaving, queries
from sdserve.core.fleet.effects import Effect, Fork, Reply
from sdserve.core.fleet.model import Change, Fleet, Slot, Worker, WorkerState, ZygoteState
from sdserve.core.fleet.status import prospect

_NOT_NEEDED = "not needed any more"


def resize(fleet: Fleet, now: float) -> Change | None:
    """There are as many slots as the current generation has, or was asked for; the highest ones go."""
    if not queries.is_running(fleet):
        return None
    count = queries.wanted_count(fleet)
    missing = {
        number: Slot(number=number, retry_at=now)
        for number in range(1, count + 1)
        if number not in fleet.slots
    }
    if missing:
        return replace(fleet, slots={**fleet.slots, **missing}), ()
    canary = queries.canary(fleet)
    surplus = [slot for slot in fleet.slots.values() if slot.number > count]
    slot = next((slot for slot in surplus if not (canary and canary.slot == slot.number)), None)
    return _remove(fleet, slot, now) if slot else None


def _remove(fleet: Fleet, slot: Slot, now: float) -> Change:
    leavers = [queries.occupant_of(fleet, slot), queries.successor_of(fleet, slot)]
    effects: tuple[Effect, ...] = ()
    for worker in filter(None, leavers):
        fleet, orders = leaving.send_home(fleet, worker, _NOT_NEEDED, now)
        effects += orders
    return replace(fleet, slots={key: one for key, one in fleet.slots.items() if key != slot.number}), effects


def take_over(fleet: Fleet, now: float) -> Change | None:
    """A successor that is ready has the slot, and its predecessor may go; an heir need not even be ready."""
    for worker in queries.successors(fleet):
        slot = fleet.slots[worker.slot]
        occupant = queries.occupant_of(fleet, slot)
        if worker.generation != fleet.current or (occupant and worker.state is not WorkerState.READY):
            continue
        taken = replace(slot, occupant=worker.serial, successor=None, wish="")
        if occupant is None:
            return fleet.with_slot(taken), ()
        if backoff.was_healthy(fleet.options, occupant.ready_since, now):
            taken = replace(taken, failures=0)
        fleet, orders = leaving.send_home(fleet, occupant, _NOT_NEEDED, now)
        return fleet.with_slot(taken), orders
    return None


def dismiss(fleet: Fleet, now: float) -> Change | None:
    """Whoever boots for a generation that is not wanted any more has nothing to boot for."""
    for worker in [worker for worker in fleet.workers.values() if worker.generation != fleet.current]:
        slot = queries.slot_of(fleet, worker)
        if slot is None:
            continue
        is_heir = slot.successor == worker.serial
        boots = worker.state in (WorkerState.FORKING, WorkerState.BOOTING)
        if (worker.generation != fleet.candidate) if is_heir else boots:
            return leaving.send_home(fleet, worker, _NOT_NEEDED, now)
    return None


def tell_heir(fleet: Fleet, _: float) -> Change | None:
    """Whoever drains is told at once when other workers inherit, or nobody, for they are to go as well."""
    worker = next(iter(queries.ill_informed(fleet)), None)
    return None if worker is None else leaving.drain_worker(fleet, worker)


def fill_slot(fleet: Fleet, now: float) -> Change | None:
    """A vacant slot gets a worker."""
    slot = queries.slot_to_fill(fleet)
    if slot is None or slot.retry_at > now:
        return None
    fleet, worker, order = _fork(fleet, fleet.current, slot, now)
    return fleet.with_slot(replace(slot, occupant=worker.serial)), (order,)


def renew_slot(fleet: Fleet, now: float) -> Change | None:
    """A worker of another generation, or one that wishes it, gets a successor."""
    slot = next((slot for slot in queries.slots_to_renew(fleet) if slot.retry_at <= now), None)
    return None if slot is None else _send_successor(fleet, fleet.current, slot, now)


def try_candidate(fleet: Fleet, now: float) -> Change | None:
    """A generation on trial gets one worker, in the first slot that nobody else is about to take over."""
    generation = fleet.generations.get(fleet.candidate)
    if generation is None or generation.zygote is not ZygoteState.OPEN or queries.canary(fleet):
        return None
    slot = next((slot for slot in fleet.slots.values() if slot.successor is None), None)
    return None if slot is None else _send_successor(fleet, fleet.candidate, slot, now)


def _send_successor(fleet: Fleet, generation: int, slot: Slot, now: float) -> Change:
    fleet, worker, order = _fork(fleet, generation, slot, now)
    return fleet.with_slot(replace(slot, successor=worker.serial)), (order,)


def _fork(fleet: Fleet, generation: int, slot: Slot, now: float) -> tuple[Fleet, Worker, Fork]:
    worker = Worker(
        generation=generation,
        serial=fleet.last_serial + 1,
        slot=slot.number,
        state=WorkerState.FORKING,
        deadline=now + fleet.generations[generation].options.boot_timeout,
    )
    order = Fork(generation=generation, serial=worker.serial, slot=slot.number)
    return replace(fleet.with_worker(worker), last_serial=worker.serial), worker, order


def answer_scaling(fleet: Fleet, _: float) -> Change | None:
    """Who asked for a number of workers hears when they serve, or why they do not."""
    for scaling in fleet.scalings:
        if verdict := _verdict(fleet, scaling.count):
            rest = tuple(one for one in fleet.scalings if one is not scaling)
            return replace(fleet, scalings=rest), (Reply(scaling.token, *verdict),)
    return None


def _verdict(fleet: Fleet, count: int) -> tuple[bool, str] | None:
    """Whether it worked, and what to say; None if it remains to be seen."""
    if count != queries.wanted_count(fleet):
        return False, f"another number of workers has been set since: {queries.wanted_count(fleet)}"
    strength = f"{queries.ready_count(fleet)} of {count} workers ready"
    if queries.all_ready(fleet) and len(fleet.slots) == count:
        return True, strength
    for slot in fleet.slots.values():
        if slot.occupant is None and slot.delay:
            return False, f"{strength}, slot {slot.number} {slot.trouble}; {prospect(fleet, slot)}"
    generation = fleet.generations[fleet.current]
    if generation.zygote is ZygoteState.ABSENT and generation.delay:
        return False, f"{strength}, zygote {generation.trouble}"
    return None
