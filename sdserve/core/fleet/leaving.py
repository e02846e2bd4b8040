"""How workers, zygotes and the whole fleet leave: asked to, killed, or found dead."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core import catalog
from sdserve.core.fleet import backoff, queries
from sdserve.core.fleet.causes import how_many
from sdserve.core.fleet.effects import Drain, Effect, Kill, KillZygote, Log, NotifyStopping, Reply
from sdserve.core.fleet.model import Change, Fleet, Generation, Phase, Worker, WorkerState, ZygoteState


def take_off(fleet: Fleet, worker: Worker) -> Fleet:
    """Take the worker off the slot that it holds or is to take over; no change if there is none."""
    slot = queries.slot_of(fleet, worker)
    if slot is None:
        return fleet
    if slot.successor == worker.serial:
        return fleet.with_slot(replace(slot, successor=None))
    return fleet.with_slot(replace(slot, occupant=None, wish=""))


def vacate(fleet: Fleet, worker: Worker, trouble: str, now: float) -> Fleet:
    """Take the worker off its slot, which gets another one after a while; no change if it holds none."""
    if queries.slot_of(fleet, worker) is None:
        return fleet
    fleet = take_off(fleet, worker)
    if worker.generation == fleet.candidate:
        return fleet  # there is only one try, and the slot has its own worker
    slot = fleet.slots[worker.slot]
    failures = backoff.failures_after(fleet.options, slot.failures, worker.ready_since, now)
    delay = backoff.delay(fleet.options, failures, served=worker.ready_since is not None)
    return fleet.with_slot(
        replace(slot, failures=failures, delay=delay, retry_at=now + delay, trouble=trouble)
    )


def blame(fleet: Fleet, generation: int, trouble: str) -> Fleet:
    """A reload to `generation`, if there is one under way, has failed; the first reason is the one."""
    if fleet.reload and fleet.reload.generation == generation and not fleet.reload.trouble:
        return replace(fleet, reload=replace(fleet.reload, trouble=trouble))
    if fleet.paused and fleet.paused.generation == generation and not fleet.paused.trouble:
        return replace(fleet, paused=replace(fleet.paused, trouble=trouble))
    return fleet


def blame_worker(fleet: Fleet, worker: Worker, trouble: str) -> Fleet:
    """The same, if the worker was needed."""
    if queries.slot_of(fleet, worker) is None:
        return fleet
    which = (
        "the first new worker"
        if worker.generation == fleet.candidate
        else f"the new worker of slot {worker.slot}"
    )
    return blame(fleet, worker.generation, f"{which} {trouble}")


def forget_worker(fleet: Fleet, worker: Worker, trouble: str, now: float) -> Fleet:
    """The worker is gone, or will never be."""
    fleet = blame_worker(fleet, worker, trouble)
    return vacate(fleet, worker, trouble, now).without_worker(worker.serial)


def forget_zygote(fleet: Fleet, generation: Generation, trouble: str, now: float) -> Fleet:
    """The zygote is gone, and with it the forks it has not answered, which is no fault of their slots."""
    for worker in queries.unborn(fleet, generation.number):
        fleet = take_off(fleet, worker).without_worker(worker.serial)
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
    return blame(fleet.with_generation(absent), generation.number, f"the new zygote {trouble}")


def drain_worker(fleet: Fleet, worker: Worker) -> Change:
    """Have the worker finish what it has, and hand over the rest to who inherits now."""
    heir = queries.heir(fleet)
    draining = replace(worker, state=WorkerState.DRAINING, heir=heir)
    return fleet.with_worker(draining), (Drain(worker.generation, worker.serial, heir),)


def kill_worker(fleet: Fleet, worker: Worker, reason: str) -> Change:
    """SIGKILL, after which nothing but the worker's end is awaited."""
    killed = replace(worker, state=WorkerState.KILLED, deadline=None, reason=reason)
    return fleet.with_worker(killed), (Kill(worker.generation, worker.serial),)


def kill_zygote(fleet: Fleet, generation: Generation, reason: str) -> Change:
    """SIGKILL, after which nothing but the zygote's end is awaited."""
    killed = replace(generation, zygote=ZygoteState.KILLED, deadline=None, trouble=reason)
    return fleet.with_generation(killed), (KillZygote(generation.number),)


def send_home(fleet: Fleet, worker: Worker, why: str, now: float) -> Change:
    """Have the worker leave, wherever it stands; it holds no slot any more."""
    fleet = take_off(fleet, worker)
    if worker.state is WorkerState.KILLED:
        return fleet, ()  # nothing but its end is awaited, and its generation may have been dropped
    latest = now + fleet.generations[worker.generation].options.drain_limit
    deadline = latest if worker.deadline is None else min(worker.deadline, latest)
    match worker.state:
        case WorkerState.READY | WorkerState.STALLED:
            # One that has stalled may still turn to it, and has as long as any other.
            return drain_worker(fleet, replace(worker, deadline=latest, is_dumped=False, reason=""))
        case WorkerState.BOOTING:
            # It has nothing to finish, and would hear of a drain only once it has booted.
            return kill_worker(fleet, worker, f"{why} while it was booting")
        case WorkerState.FORKING:
            # Nor has this one, but it may not even exist: that is known when its zygote answers.
            return fleet.with_worker(replace(worker, state=WorkerState.DRAINING, deadline=deadline)), ()
        case _:
            return fleet.with_worker(replace(worker, deadline=deadline)), ()


def stop(fleet: Fleet, now: float, *, exit_code: int = 0, trouble: str = "") -> Change:
    """Begin to stop: slots are filled no more, everybody is to go, and who waits for something is told."""
    limits = [generation.options.drain_limit for generation in fleet.generations.values()]
    log = Log("info", "stopping")
    if trouble:
        log = Log("error", f"giving up: {trouble}", catalog.GIVING_UP)
    effects: tuple[Effect, ...] = (log, NotifyStopping(), *_turn_away(fleet, trouble or "stopping"))
    fleet = replace(
        fleet,
        phase=Phase.STOPPING,
        candidate=0,
        previous=0,
        reload=None,
        paused=None,
        scalings=(),
        slots={},
        stop_by=now + max(limits, default=fleet.options.drain_limit),
        exit_code=exit_code,
        trouble=trouble,
    )
    for worker in fleet.workers.values():
        fleet, orders = send_home(fleet, worker, "asked to stop", now)
        effects += orders
    return fleet, effects


def _turn_away(fleet: Fleet, why: str) -> tuple[Reply, ...]:
    reloads = [reload for reload in (fleet.reload, fleet.paused) if reload]
    tokens = [token for reload in reloads for token in reload.tokens]
    tokens += [scaling.token for scaling in fleet.scalings]
    return tuple(Reply(token, ok=False, text=why) for token in tokens)


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
