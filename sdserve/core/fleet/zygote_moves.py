"""What the events of a generation and its zygote cause; `transitions.ZYGOTE_MOVES` says which when."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import causes, leaving, queries
from sdserve.core.fleet.effects import DropGeneration, KillZygote, Log, ReplaceProgram
from sdserve.core.fleet.events import (
    GenerationPrepared,
    GenerationRefused,
    ProgramNotReplaced,
    ZygoteExited,
    ZygoteFailed,
    ZygoteNotStarted,
    ZygoteReady,
)
from sdserve.core.fleet.model import Change, Fleet, ZygoteState


def make_ready(fleet: Fleet, event: GenerationPrepared, now: float) -> Change:
    """It is known what the zygote is to be, so there can be one; perhaps not by this program, though."""
    prepared = replace(
        fleet.generations[event.generation],
        options=event.options,
        count=event.options.count,
        remark=event.remark,
        zygote=ZygoteState.REPLACING if event.replace_program else ZygoteState.ABSENT,
        deadline=now + event.options.boot_timeout if event.replace_program else None,
    )
    fleet = fleet.with_generation(prepared)
    return fleet, (ReplaceProgram(event.generation),) if event.replace_program else ()


def refuse(fleet: Fleet, event: GenerationRefused | ProgramNotReplaced, _: float) -> Change:
    """There will be no such generation."""
    return leaving.blame(fleet, event.generation, event.reason), ()


def drop_stray(fleet: Fleet, event: GenerationPrepared, _: float) -> Change:
    """It was given up while it was being prepared."""
    return fleet, (DropGeneration(event.generation),)


def open_up(fleet: Fleet, event: ZygoteReady, now: float) -> Change:
    """Workers can be forked."""
    generation = fleet.generations[event.generation]
    opened = replace(generation, zygote=ZygoteState.OPEN, deadline=None, open_since=now, trouble="")
    return fleet.with_generation(opened), ()


def do_without(fleet: Fleet, event: ZygoteNotStarted, now: float) -> Change:
    """There is no zygote."""
    generation = fleet.generations[event.generation]
    trouble = f"was not started: {event.reason}"
    log = Log("error", f"{queries.name_of(generation)} {trouble}")
    return leaving.forget_zygote(fleet, generation, trouble, now), (log,)


def dismiss(fleet: Fleet, event: ZygoteFailed, _: float) -> Change:
    """It has said why; nothing it could still do is of use, and what it imported may keep it alive."""
    generation = fleet.generations[event.generation]
    failed = replace(generation, zygote=ZygoteState.FAILED, deadline=None, trouble=event.reason)
    fleet = leaving.blame(
        fleet.with_generation(failed), generation.number, f"the new zygote failed: {event.reason}"
    )
    return fleet, (KillZygote(generation.number),)


def lose(fleet: Fleet, event: ZygoteExited, now: float) -> Change:
    """The zygote is gone; its workers are not concerned, only those it had yet to fork."""
    generation = fleet.generations[event.generation]
    trouble = causes.zygote_end(generation, event.status)
    needed = queries.is_needed(fleet, generation.number)
    log = Log("error" if needed else "info", f"{queries.name_of(generation)} {trouble}")
    return leaving.forget_zygote(fleet, generation, trouble, now), (log,)


def let_go(fleet: Fleet, event: ZygoteExited, now: float) -> Change:
    """It was told to go."""
    return leaving.forget_zygote(fleet, fleet.generations[event.generation], "", now), ()
