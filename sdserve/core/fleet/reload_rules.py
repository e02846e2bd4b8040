"""What follows from the state of a reload.

It is on trial while its generation is the candidate: that is prepared, its zygote opens, and one worker of
it boots, the canary. If that gets ready its generation becomes the current one and the reload rolls, which is
no more than that the other workers are stale now. If it fails before, nobody else has noticed; if it fails
later, the previous generation becomes the current one again.
"""

from __future__ import annotations

from dataclasses import replace

from sdserve.core import catalog
from sdserve.core.fleet import queries
from sdserve.core.fleet.causes import how_many
from sdserve.core.fleet.effects import (
    Effect,
    Log,
    NotifyReady,
    NotifyReloading,
    PrepareGeneration,
    Reply,
)
from sdserve.core.fleet.model import (
    Change,
    Fleet,
    Generation,
    Outcome,
    Phase,
    Reload,
    WorkerState,
    ZygoteState,
)


def tell_reloading(fleet: Fleet, _: float) -> Change | None:
    """The service manager knows of a reload, if it knows that the service is up."""
    if fleet.phase is not Phase.SERVING or fleet.reload is None or fleet.is_reloading:
        return None
    return replace(fleet, is_reloading=True), (NotifyReloading(),)


def tell_ready(fleet: Fleet, _: float) -> Change | None:
    """And it is told when that is over, however it ended: until then it reloads nothing else."""
    if fleet.phase is not Phase.SERVING or fleet.reload or not fleet.is_reloading:
        return None
    return replace(fleet, is_reloading=False), (NotifyReady(),)


def prepare(fleet: Fleet, now: float) -> Change | None:
    """A candidate begins with its configuration."""
    if not fleet.candidate or fleet.candidate in fleet.generations or fleet.reload is None:
        return None
    upgrade = fleet.reload.upgrade
    generation = Generation(
        number=fleet.candidate,
        options=fleet.options,
        count=fleet.options.count,
        zygote=ZygoteState.PREPARING,
        opened_for="upgrade" if upgrade else "reload",
        deadline=now + fleet.options.boot_timeout,
    )
    return fleet.with_generation(generation), (PrepareGeneration(generation.number, upgrade),)


def reject(fleet: Fleet, now: float) -> Change | None:
    """A candidate that has failed is dropped, and what went on before goes on."""
    if not fleet.candidate or fleet.reload is None or not fleet.reload.trouble:
        return None
    text = f"{_name(fleet.reload)} failed, generation {fleet.current} stays: {fleet.reload.trouble}"
    log = Log("error", text, catalog.RELOAD_FAILED)
    fleet, replies = _end(fleet, fleet.reload, now, ok=False, text=fleet.reload.trouble)
    return replace(fleet, candidate=0, reload=fleet.paused, paused=None), (log, *replies)


def promote(fleet: Fleet, now: float) -> Change | None:
    """A candidate whose first worker is ready becomes current; who waits for an older reload waits for it."""
    worker = queries.canary(fleet)
    if worker is None or worker.state is not WorkerState.READY or fleet.reload is None:
        return None
    old = fleet.generations[fleet.current]
    back = fleet.generations.get(fleet.previous)
    if back is None or back.zygote is not ZygoteState.OPEN:
        back = old
    tokens = (*(fleet.paused.tokens if fleet.paused else ()), *fleet.reload.tokens)
    promoted = replace(
        put_in_charge(fleet, fleet.candidate, now),
        candidate=0,
        previous=back.number if back.served else 0,
        reload=replace(fleet.reload, tokens=tokens),
        paused=None,
    )
    return promoted, (Log("info", f"generation {worker.generation} takes over from generation {old.number}"),)


def roll_back(fleet: Fleet, now: float) -> Change | None:
    """A reload that fails while it rolls is undone, once the previous generation has a zygote again."""
    if fleet.reload is None or not queries.is_to_go_back(fleet):
        return None
    failed, back = fleet.reload, fleet.generations.get(fleet.previous)
    if back is not None and back.zygote is ZygoteState.OPEN:
        text = f"{failed.trouble}; going back to generation {back.number}"
        fleet = put_in_charge(fleet, back.number, now)
    elif back is None or (back.zygote is ZygoteState.ABSENT and back.open_since is None):
        text = f"{failed.trouble}; going on with generation {fleet.current}, for there is none to go back to"
    else:
        return None
    fleet, replies = _end(fleet, failed, now, ok=False, text=text)
    log = Log("error", f"{_name(failed)} failed: {text}", catalog.RELOAD_FAILED)
    return replace(fleet, previous=0, reload=None), (log, *replies)


def finish(fleet: Fleet, now: float) -> Change | None:
    """A reload has succeeded when nobody in the slots is of another generation."""
    if fleet.reload is None or fleet.candidate or fleet.reload.trouble or not queries.is_rolled_out(fleet):
        return None
    remark = fleet.generations[fleet.current].remark
    text = f"generation {fleet.current} serves with {how_many(len(fleet.slots), 'worker')}"
    log = Log("info", f"{_name(fleet.reload)} done: {text}")
    fleet, replies = _end(fleet, fleet.reload, now, ok=True, text="\n".join(filter(None, (text, remark))))
    return replace(fleet, previous=0, reload=None), (log, *replies)


def put_in_charge(fleet: Fleet, number: int, now: float) -> Fleet:
    """Make the generation the current one, which is not to be blamed for what befell others in its slots."""
    slots = {
        key: replace(slot, failures=0, delay=0.0, retry_at=now, trouble="")
        for key, slot in fleet.slots.items()
    }
    return replace(fleet, current=number, options=fleet.generations[number].options, slots=slots)


def _end(
    fleet: Fleet, reload: Reload, now: float, *, ok: bool, text: str
) -> tuple[Fleet, tuple[Effect, ...]]:
    outcome = Outcome(generation=reload.generation, at=now, ok=ok, text=text)
    replies = tuple(Reply(token, ok=ok, text=text) for token in reload.tokens)
    return replace(fleet, last_reload=outcome), replies


def _name(reload: Reload) -> str:
    return f"reload to generation {reload.generation}"
