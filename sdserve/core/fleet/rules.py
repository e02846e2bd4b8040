"""What follows from the state of the fleet alone, whatever event led to it.

Each rule answers with a change, or with None where it has nothing to say; a rule that changed
something has brought the fleet nearer to a state in which all are silent. Those of slots and of
reloads are in modules of their own; the order of all is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sdserve.core.fleet import leaving, queries, reload_rules, slot_rules
from sdserve.core.fleet.causes import how_many
from sdserve.core.fleet.effects import (
    CloseGeneration,
    DropGeneration,
    Exit,
    ExtendTimeout,
    Log,
    NotifyReady,
    NotifyStatus,
    OpenGeneration,
)
from sdserve.core.fleet.model import Change, Fleet, Generation, Phase, ZygoteState
from sdserve.core.fleet.status import status_line
from sdserve.errors import EXIT_BOOT

Rule = Callable[[Fleet, float], Change | None]

_PATIENCE = 5.0
"""Seconds that the service manager waits longer than we do, who know what for."""


def give_up(fleet: Fleet, now: float) -> Change | None:
    """If the first generation cannot serve, somebody has to know, and restarting is not our business."""
    if not (trouble := queries.hopelessness(fleet)):
        return None
    return leaving.stop(fleet, now, exit_code=EXIT_BOOT, trouble=trouble)


def announce(fleet: Fleet, _: float) -> Change | None:
    """Once the fleet is full for the first time, or full enough, the service is up."""
    if fleet.phase is not Phase.BOOTING or not queries.enough_ready(fleet):
        return None
    serving = replace(fleet, phase=Phase.SERVING)
    status = status_line(serving)
    log = Log("info", f"serving with {how_many(queries.ready_count(fleet), 'worker')}")
    # The status first: who waits for READY=1 may read it right afterwards.
    return replace(serving, status=status), (NotifyStatus(status), NotifyReady(), log)


def open_generation(fleet: Fleet, now: float) -> Change | None:
    """A generation whose workers are wanted needs a zygote."""
    for generation in queries.generations_to_open(fleet):
        if generation.retry_at <= now:
            deadline = now + generation.options.boot_timeout
            opening = replace(generation, zygote=ZygoteState.OPENING, deadline=deadline, open_since=None)
            return fleet.with_generation(opening), (OpenGeneration(generation.number),)
    return None


def close_generation(fleet: Fleet, now: float) -> Change | None:
    """A generation that is not needed any more keeps its zygote only as long as that owes an answer."""
    for generation in fleet.generations.values():
        if not queries.is_needed(fleet, generation.number) and (change := _close(fleet, generation, now)):
            return change
    return None


def _close(fleet: Fleet, generation: Generation, now: float) -> Change | None:
    match generation.zygote:
        case ZygoteState.OPENING:
            # It may be importing the application, and hears nothing until it has.
            return leaving.kill_zygote(fleet, generation, "not needed any more while it was opening")
        case ZygoteState.OPEN if not queries.unborn(fleet, generation.number):
            deadline = fleet.stop_by or now + generation.options.drain_limit
            closing = replace(generation, zygote=ZygoteState.CLOSING, deadline=deadline)
            return fleet.with_generation(closing), (CloseGeneration(generation.number),)
        case ZygoteState.PREPARING | ZygoteState.REPLACING:
            return fleet.without_generation(generation.number), (DropGeneration(generation.number),)
        case ZygoteState.ABSENT if not queries.workers_of(fleet, generation.number):
            fleet = fleet.without_generation(generation.number)
            # Also while it stops: some of the current one may still be there, and answer what was asked.
            heir = fleet.current if fleet.current in fleet.generations else 0
            return fleet, (DropGeneration(generation.number, heir),)
        case _:
            return None


def extend_timeout(fleet: Fleet, now: float) -> Change | None:
    """As long as there is progress, the service manager waits as long as the next may take."""
    progress = queries.progress(fleet)
    if progress <= fleet.progress:
        return None
    if fleet.stop_by is not None:
        patience = max(0.0, fleet.stop_by - now)
    else:
        patience = fleet.generations[fleet.candidate or fleet.current].options.boot_timeout
    return replace(fleet, progress=progress), (ExtendTimeout(patience + _PATIENCE),)


def report(fleet: Fleet, _: float) -> Change | None:
    """The service manager's status is what we know."""
    status = status_line(fleet)
    return None if status == fleet.status else (replace(fleet, status=status), (NotifyStatus(status),))


def end(fleet: Fleet, _: float) -> Change | None:
    """Nobody is left, so neither is the supervisor."""
    if fleet.phase is not Phase.STOPPING or fleet.workers or fleet.generations:
        return None
    return replace(fleet, phase=Phase.ENDED), (Exit(fleet.exit_code),)


RULES: tuple[Rule, ...] = (
    give_up,
    reload_rules.tell_reloading,
    reload_rules.prepare,
    reload_rules.reject,
    reload_rules.roll_back,
    reload_rules.promote,
    slot_rules.dismiss,
    slot_rules.take_over,
    slot_rules.resize,
    slot_rules.tell_heir,
    reload_rules.finish,
    announce,
    open_generation,
    slot_rules.fill_slot,
    slot_rules.renew_slot,
    slot_rules.try_candidate,
    close_generation,
    slot_rules.answer_scaling,
    extend_timeout,
    report,
    reload_rules.tell_ready,  # after the status, which is read by who waits for it
    end,  # last, after the last word has been said
)
