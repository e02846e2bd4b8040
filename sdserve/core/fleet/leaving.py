"""How workers, zygotes and the whole fleet leave: asked to, killed, or found dead."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import backoff, queries
from sdserve.core.fleet.causes import how_many
from sdserve.core.fleet.effects import Drain, Effect, Kill, KillZygote, Log, NotifyStopping
from sdserve.core.fleet.model import Change, Fleet, Generation, Phase, Worker, WorkerState, ZygoteState


def vacate(fleet: Fleet, worker: Worker, trouble: str, now: float) -> Fleet:
    """Take the worker off its slot, which is to be filled again after a while; no change if it holds none."""
    if not queries.holds_slot(fleet, worker):
        return fleet
    slot = fleet.slots[worker.slot]
    failures = backoff.failures_after(fleet.options, slot.failures, worker.ready_since, now)
    delay = backoff.delay(fleet.options, failures, served=worker.ready_since is not None)
    vacant = replace(
        slot, occupant=None, failures=failures, delay=delay, retry_at=now + delay, trouble=trouble
    )
    return fleet.with_slot(vacant)


def forget_worker(fleet: Fleet, worker: Worker, trouble: str, now: float) -> Fleet:
    """The worker is gone, or will never be."""
    return vacate(fleet, worker, trouble, now).without_worker(worker.serial)


def forget_zygote(fleet: Fleet, generation: Generation, trouble: str, now: float) -> Fleet:
    """The zygote is gone, and with it the forks it has not answered, which is no fault of their slots."""
    for worker in queries.unborn(fleet, generation.number):
        if queries.holds_slot(fleet, worker):
            fleet = fleet.with_slot(replace(fleet.slots[worker.slot], occupant=None))
        fleet = fleet.without_worker(worker.serial)
    failures = backoff.failures_after(fleet.options, generation.failures, generation.open_since, now)
    delay = backoff.delay(fleet.options, failures, served=generation.open_since is not None)
    absent = replace(
        generation,
        zygote=ZygoteState.ABSENT,
        deadline=None,
        failures=failures,
        delay=delay,
        retry_at=now + delay,
        trouble=trouble,
    )
    return fleet.with_generation(absent)


def kill_worker(fleet: Fleet, worker: Worker, reason: str) -> Change:
    """SIGKILL, after which nothing but the worker's end is awaited."""
    killed = replace(worker, state=WorkerState.KILLED, deadline=None, reason=reason)
    return fleet.with_worker(killed), (Kill(worker.generation, worker.serial),)


def kill_zygote(fleet: Fleet, generation: Generation, reason: str) -> Change:
    """SIGKILL, after which nothing but the zygote's end is awaited."""
    killed = replace(generation, zygote=ZygoteState.KILLED, deadline=None, trouble=reason)
    return fleet.with_generation(killed), (KillZygote(generation.number),)


def stop(fleet: Fleet, now: float, *, exit_code: int = 0, trouble: str = "") -> Change:
    """Begin to stop: slots are filled no more, and everybody is to go."""
    stop_by = now + fleet.options.drain_limit
    log = Log("error", f"giving up: {trouble}") if trouble else Log("info", "stopping")
    effects: tuple[Effect, ...] = (log, NotifyStopping())
    workers = fleet.workers.values()
    fleet = replace(
        fleet, phase=Phase.STOPPING, slots={}, stop_by=stop_by, exit_code=exit_code, trouble=trouble
    )
    for worker in workers:
        fleet, orders = _send_home(fleet, worker, stop_by)
        effects += orders
    for generation in fleet.generations.values():
        if generation.zygote is ZygoteState.OPENING:
            # It may be importing the application, and hears nothing until it has.
            fleet, orders = kill_zygote(fleet, generation, "asked to stop while it was opening")
            effects += orders
    return fleet, effects


def _send_home(fleet: Fleet, worker: Worker, stop_by: float) -> Change:
    deadline = stop_by if worker.deadline is None else min(worker.deadline, stop_by)
    draining = replace(worker, state=WorkerState.DRAINING, deadline=deadline)
    match worker.state:
        case WorkerState.READY:
            return fleet.with_worker(draining), (Drain(worker.generation, worker.serial),)
        case WorkerState.BOOTING:
            # It has nothing to finish, and would hear of a drain only once it has booted.
            return kill_worker(fleet, worker, "asked to stop while it was booting")
        case WorkerState.FORKING:
            # Nor has this one, but it may not even exist: that is known when its zygote answers.
            return fleet.with_worker(draining), ()
        case WorkerState.KILLED:
            return fleet, ()
        case _:
            return fleet.with_worker(replace(worker, deadline=deadline)), ()


def stop_at_once(fleet: Fleet) -> Change:
    """Kill whoever is left, except those who were killed before."""
    reason = "asked to stop at once"
    workers = [worker for worker in fleet.workers.values() if worker.state is not WorkerState.KILLED]
    effects: tuple[Effect, ...] = (Log("warning", f"{reason}, killing {how_many(len(workers), 'worker')}"),)
    for worker in workers:
        fleet, orders = kill_worker(fleet, worker, reason)
        effects += orders
    for generation in fleet.generations.values():
        if generation.zygote in (ZygoteState.OPEN, ZygoteState.CLOSING):
            fleet, orders = kill_zygote(fleet, generation, reason)
            effects += orders
    return fleet, effects
