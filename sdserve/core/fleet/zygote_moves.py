"""What the events of a zygote cause; `transitions.ZYGOTE_MOVES` says which in which state."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import causes, leaving, queries
from sdserve.core.fleet.effects import KillZygote, Log
from sdserve.core.fleet.events import ZygoteExited, ZygoteFailed, ZygoteNotStarted, ZygoteReady
from sdserve.core.fleet.model import Change, Fleet, ZygoteState


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
    return fleet.with_generation(failed), (KillZygote(generation.number),)


def lose(fleet: Fleet, event: ZygoteExited, now: float) -> Change:
    """The zygote is gone; its workers are not concerned, only those it had yet to fork."""
    generation = fleet.generations[event.generation]
    trouble = causes.zygote_end(generation, event.status)
    log = Log("error" if queries.is_running(fleet) else "info", f"{queries.name_of(generation)} {trouble}")
    return leaving.forget_zygote(fleet, generation, trouble, now), (log,)


def let_go(fleet: Fleet, event: ZygoteExited, now: float) -> Change:
    """It was told to go."""
    return leaving.forget_zygote(fleet, fleet.generations[event.generation], "", now), ()
