"""What follows from the state of the fleet alone, whatever event led to it.

Each rule answers with a change, or with None where it has nothing to say; a rule that changed
something has brought the fleet nearer to a state in which all are silent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sdserve.core.fleet import leaving, queries
from sdserve.core.fleet.causes import how_many
from sdserve.core.fleet.effects import (
    CloseGeneration,
    Exit,
    Fork,
    Log,
    NotifyReady,
    NotifyStatus,
    OpenGeneration,
)
from sdserve.core.fleet.model import Change, Fleet, Phase, Worker, WorkerState, ZygoteState
from sdserve.errors import EXIT_BOOT

Rule = Callable[[Fleet, float], Change | None]


def give_up(fleet: Fleet, now: float) -> Change | None:
    """If the first generation cannot serve, somebody has to know, and restarting is not our business."""
    if not (trouble := queries.hopelessness(fleet)):
        return None
    return leaving.stop(fleet, now, exit_code=EXIT_BOOT, trouble=trouble)


def announce(fleet: Fleet, _: float) -> Change | None:
    """Once the fleet is full for the first time the service is up."""
    if fleet.phase is not Phase.BOOTING or not queries.all_ready(fleet):
        return None
    serving = replace(fleet, phase=Phase.SERVING)
    status = queries.status_line(serving)
    log = Log("info", f"serving with {how_many(len(fleet.slots), 'worker')}")
    # The status first: who waits for READY=1 may read it right afterwards.
    return replace(serving, status=status), (NotifyStatus(status), NotifyReady(), log)


def open_generation(fleet: Fleet, now: float) -> Change | None:
    """The current generation needs a zygote."""
    generation = queries.generation_to_open(fleet)
    if generation is None or generation.retry_at > now:
        return None
    deadline = now + fleet.options.boot_timeout
    opening = replace(generation, zygote=ZygoteState.OPENING, deadline=deadline, open_since=None)
    return fleet.with_generation(opening), (OpenGeneration(generation.number),)


def fill_slot(fleet: Fleet, now: float) -> Change | None:
    """A vacant slot gets a worker."""
    slot = queries.slot_to_fill(fleet)
    if slot is None or slot.retry_at > now:
        return None
    worker = Worker(
        generation=fleet.current,
        serial=fleet.last_serial + 1,
        slot=slot.number,
        state=WorkerState.FORKING,
        deadline=now + fleet.options.boot_timeout,
    )
    filled = fleet.with_worker(worker).with_slot(replace(slot, occupant=worker.serial))
    order = Fork(generation=worker.generation, serial=worker.serial, slot=worker.slot)
    return replace(filled, last_serial=worker.serial), (order,)


def close_generation(fleet: Fleet, _: float) -> Change | None:
    """While stopping a zygote stays only as long as it owes an answer."""
    if fleet.phase is not Phase.STOPPING:
        return None
    for generation in fleet.generations.values():
        if generation.zygote is ZygoteState.ABSENT:
            return fleet.without_generation(generation.number), ()
        if generation.zygote is ZygoteState.OPEN and not queries.unborn(fleet, generation.number):
            closing = replace(generation, zygote=ZygoteState.CLOSING, deadline=fleet.stop_by)
            return fleet.with_generation(closing), (CloseGeneration(generation.number),)
    return None


def report(fleet: Fleet, _: float) -> Change | None:
    """The service manager's status is what we know."""
    status = queries.status_line(fleet)
    return None if status == fleet.status else (replace(fleet, status=status), (NotifyStatus(status),))


def end(fleet: Fleet, _: float) -> Change | None:
    """Nobody is left, so neither is the supervisor."""
    if fleet.phase is not Phase.STOPPING or fleet.workers or fleet.generations:
        return None
    return replace(fleet, phase=Phase.ENDED), (Exit(fleet.exit_code),)


RULES: tuple[Rule, ...] = (
    give_up,
    announce,
    open_generation,
    fill_slot,
    close_generation,
    report,
    end,  # last, after the last word has been said
)
