"""What it causes that somebody asks for something; `transitions.FLEET_MOVES` says which in which phase."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core.fleet import queries
from sdserve.core.fleet.causes import how_many
from sdserve.core.fleet.effects import Log, Reply
from sdserve.core.fleet.events import ReloadAsked, ScaleAsked, ScaleChanged
from sdserve.core.fleet.model import Change, Fleet, Phase, Reload, Scaling
from sdserve.core.fleet.options import MOST_WORKERS


def reload(fleet: Fleet, event: ReloadAsked, now: float) -> Change:
    """Another generation is put on trial, in place of one that is; one that rolls waits for its outcome."""
    number = fleet.last_generation + 1
    tokens = (event.token,) if event.token else ()
    upgrade = event.upgrade
    paused = fleet.paused
    if fleet.reload and fleet.candidate:
        tokens = (*fleet.reload.tokens, *tokens)
        upgrade = upgrade or fleet.reload.upgrade
    elif fleet.reload:
        paused = fleet.reload
    given_up = f", giving up generation {fleet.candidate}" if fleet.candidate else ""
    asked = replace(
        fleet,
        candidate=number,
        last_generation=number,
        reload=Reload(generation=number, since=now, upgrade=upgrade, tokens=tokens),
        paused=paused,
    )
    what = "upgrading" if upgrade else "reloading"
    return asked, (Log("info", f"{what} to generation {number}{given_up}"),)


def scale(fleet: Fleet, event: ScaleAsked, _: float) -> Change:
    """There are to be so many slots, from now on."""
    if not 1 <= event.count <= MOST_WORKERS:
        return _answer(fleet, event.token, f"{event.count} is not a number of workers: 1 to {MOST_WORKERS}")
    scalings = (Scaling(token=event.token, count=event.count),) if event.token else ()
    return _set_count(replace(fleet, scalings=(*fleet.scalings, *scalings)), event.count)


def scale_by(fleet: Fleet, event: ScaleChanged, _: float) -> Change:
    """There are to be so many slots more or fewer, as far as that goes."""
    return _set_count(fleet, min(max(queries.wanted_count(fleet) + event.by, 1), MOST_WORKERS))


def refuse(fleet: Fleet, event: ReloadAsked | ScaleAsked, _: float) -> Change:
    """Too early or too late."""
    return _answer(fleet, event.token, "not started yet" if fleet.phase is Phase.NEW else "stopping")


def _answer(fleet: Fleet, token: int, text: str) -> Change:
    return fleet, (Reply(token, ok=False, text=text),) if token else ()


def _set_count(fleet: Fleet, count: int) -> Change:
    current = replace(fleet.generations[fleet.current], count=count)
    return fleet.with_generation(current), (Log("info", f"scaling to {how_many(count, 'worker')}"),)
