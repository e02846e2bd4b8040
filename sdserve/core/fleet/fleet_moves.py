"""What the events of the fleet as a whole cause; `transitions.FLEET_MOVES` says which in which phase."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import leaving, queries
from sdserve.core.fleet.causes import seconds
from sdserve.core.fleet.effects import Dump, Effect, Log
from sdserve.core.fleet.events import Resumed, Started, StopAsked, TimePassed, WentIdle
from sdserve.core.fleet.model import (
    DUMP_TIME,
    Change,
    Fleet,
    Generation,
    Phase,
    Slot,
    Worker,
    WorkerState,
    ZygoteState,
)


def begin(fleet: Fleet, _: Started, now: float) -> Change:
    """Found the first generation, after those of an earlier life; the rules do the rest."""
    number = fleet.last_generation + 1
    slots = {number: Slot(number=number, retry_at=now) for number in range(1, fleet.options.count + 1)}
    first = Generation(number=number, options=fleet.options, count=fleet.options.count, retry_at=now)
    return replace(
        fleet.with_generation(first), phase=Phase.BOOTING, current=number, last_generation=number, slots=slots
    ), ()


def resume(fleet: Fleet, _: Resumed, now: float) -> Change:
    """The program that was to be replaced has been, so what waited for that can go on."""
    waiting = [one for one in fleet.generations.values() if one.zygote is ZygoteState.REPLACING]
    for generation in waiting:
        absent = replace(generation, zygote=ZygoteState.ABSENT, deadline=None, retry_at=now)
        fleet = fleet.with_generation(absent)
    return fleet, ()


def stop(fleet: Fleet, _: StopAsked, now: float) -> Change:
    """Asked once: everybody may finish."""
    return leaving.stop(fleet, now)


def stop_idle(fleet: Fleet, event: WentIdle, now: float) -> Change:
    """Nobody needs it, and whoever will starts it again. A reload is a sign that somebody does."""
    if fleet.reload is not None:
        return fleet, ()
    log = Log("info", f"no connection for {seconds(event.seconds)}, so the service is not needed")
    fleet, orders = leaving.stop(fleet, now)
    return fleet, (log, *orders)


def stop_at_once(fleet: Fleet, _: StopAsked, __: float) -> Change:
    """Asked again: nobody may."""
    return leaving.stop_at_once(fleet)


def judge(fleet: Fleet, _: TimePassed, now: float) -> Change:
    """Kill whoever had a deadline and missed it; of a worker somebody should see before what it is at.

    Only here, not whenever a clock is at hand: what has happened by now has been told before this
    event, so that nobody is killed whose good news is in the queue.
    """
    effects: tuple[Effect, ...] = ()
    for worker in fleet.workers.values():
        if worker.deadline is not None and worker.deadline <= now:
            is_to_be_seen = not (worker.is_unborn or worker.is_dumped)
            fleet, orders = (_dump if is_to_be_seen else _kill_overdue_worker)(fleet, worker, now)
            effects += orders
    for generation in fleet.generations.values():
        if generation.deadline is not None and generation.deadline <= now:
            fleet, orders = _kill_overdue_zygote(fleet, generation)
            effects += orders
    return fleet, effects


def _dump(fleet: Fleet, worker: Worker, now: float) -> Change:
    """The last moment in which it may still do what it was to do."""
    log = Log("error", f"{queries.name_of(worker)}: {_reproach(fleet, worker)}, asking for its stacks")
    seen = replace(worker, deadline=now + DUMP_TIME, is_dumped=True)
    return fleet.with_worker(seen), (log, Dump(worker.generation, worker.serial))


def _kill_overdue_worker(fleet: Fleet, worker: Worker, _: float) -> Change:
    reason = _reproach(fleet, worker)
    log = Log("error", f"{queries.name_of(worker)}: {reason}, killing it")
    fleet = leaving.blame_worker(fleet, worker, f"was killed: {reason}")
    fleet, orders = leaving.kill_worker(fleet, worker, reason)
    if worker.is_unborn and (generation := _open_generation_of(fleet, worker)):
        # A fork takes milliseconds. That zygote hangs, and would not fork the next one either.
        fleet, more = leaving.kill_zygote(fleet, generation, "does not answer")
        orders += more
    return fleet, (log, *orders)


def _open_generation_of(fleet: Fleet, worker: Worker) -> Generation | None:
    generation = fleet.generations[worker.generation]  # which outlives its unborn
    return generation if generation.zygote is ZygoteState.OPEN else None


def _reproach(fleet: Fleet, worker: Worker) -> str:
    if worker.is_unborn:
        return "its zygote does not answer"
    options = fleet.generations[worker.generation].options
    match worker.state:
        case WorkerState.DRAINING:
            return f"not drained within {seconds(options.drain_limit)}"
        case WorkerState.FAILED:
            return f"failed and does not exit: {worker.reason}"
        case WorkerState.STALLED:
            return worker.reason
        case _:
            return f"not ready within {seconds(options.boot_timeout)}"


def _kill_overdue_zygote(fleet: Fleet, generation: Generation) -> Change:
    if generation.zygote in (ZygoteState.PREPARING, ZygoteState.REPLACING):
        what = "its configuration was not read"
        if generation.zygote is ZygoteState.REPLACING:
            what = "sdserve itself was not replaced"
        reason = f"{what} within {seconds(generation.options.boot_timeout)}"
        return leaving.blame(fleet, generation.number, reason), ()  # which drops it
    opening = generation.zygote is ZygoteState.OPENING
    reason = f"not ready within {seconds(generation.options.boot_timeout)}" if opening else "does not exit"
    log = Log("error", f"{queries.name_of(generation)}: {reason}, killing it")
    fleet = leaving.blame(fleet, generation.number, f"the new zygote was killed: {reason}")
    fleet, orders = leaving.kill_zygote(fleet, generation, reason)
    return fleet, (log, *orders)
