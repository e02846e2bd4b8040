"""What the fleet says about itself: one line for the service manager, true until the next event."""

from __future__ import annotations

from collections.abc import Iterator

from sdserve.core.fleet import queries
from sdserve.core.fleet.causes import how_many, in_brief, seconds
from sdserve.core.fleet.model import Fleet, Phase, Slot, WorkerState, ZygoteState


def status_line(fleet: Fleet) -> str:
    """The whole line; empty before there is anything to say."""
    match fleet.phase:
        case Phase.NEW:
            return ""
        case Phase.BOOTING:
            return ", ".join(["Booting", *_strength(fleet)])
        case Phase.SERVING:
            return ", ".join(["Serving" if queries.ready_count(fleet) else "Not serving", *_strength(fleet)])
        case _:
            return ", ".join(_farewell(fleet))


def _strength(fleet: Fleet) -> Iterator[str]:
    yield f"{queries.ready_count(fleet)} of {len(fleet.slots)} workers ready"
    if fleet.current > 1:
        yield f"generation {fleet.current}"
    yield from _movement(fleet)
    if stalled := len(queries.workers_in(fleet, WorkerState.STALLED)):
        yield f"{stalled} stalled"
    if leaving := len(queries.workers_in(fleet, WorkerState.DRAINING)):
        yield f"{leaving} draining"
    yield from _slot_troubles(fleet)
    generation = fleet.generations[fleet.current]
    if generation.trouble:
        yield f"zygote {in_brief(generation.trouble)}"
    if generation.zygote is ZygoteState.ABSENT:
        yield _wait(generation.delay)


def _movement(fleet: Fleet) -> Iterator[str]:
    """What becomes of the generations."""
    stale, count = len(queries.stale_slots(fleet)), len(fleet.slots)
    if fleet.candidate:
        yield f"reloading to {fleet.candidate}: {_trial(fleet)}"
    elif queries.is_to_go_back(fleet):
        yield f"going back to {fleet.previous} as soon as its zygote is open"
    elif fleet.reload or stale:
        how = "reloading" if fleet.reload else "rolling"
        yield f"{how} to {fleet.current}: {count - stale} of {count} rolled"
    if fleet.last_reload and not fleet.last_reload.ok and not fleet.reload:
        yield f"the reload to {fleet.last_reload.generation} failed: {in_brief(fleet.last_reload.text)}"


def _trial(fleet: Fleet) -> str:
    if queries.canary(fleet):
        return "its first worker boots"
    match fleet.generations[fleet.candidate].zygote:
        case ZygoteState.PREPARING:
            return "being prepared"
        case ZygoteState.REPLACING:
            return "sdserve itself is being replaced"
        case ZygoteState.OPEN:
            return "its first worker waits for a slot"
        case _:
            return "its zygote opens"


def _slot_troubles(fleet: Fleet) -> Iterator[str]:
    troubled = [slot for slot in fleet.slots.values() if slot.trouble]
    if not troubled:
        return
    yield f"slot {troubled[0].number} {in_brief(troubled[0].trouble)}"
    yield prospect(fleet, troubled[0])
    if len(troubled) > 1:
        yield f"{how_many(len(troubled) - 1, 'more slot')} in trouble"


def prospect(fleet: Fleet, slot: Slot) -> str:
    """What becomes of a slot whose last worker, or the successor of it, came to grief."""
    occupant = queries.occupant_of(fleet, slot)
    if slot.successor is not None or (occupant and occupant.ready_since is None):
        return "trying again"
    if queries.is_given_up(fleet, slot):
        return f"not tried again after {queries.BOOT_TRIES} times"
    if fleet.generations[fleet.current].zygote is not ZygoteState.OPEN:
        return "next try with the next zygote"
    return _wait(slot.delay)


def _wait(delay: float) -> str:
    return f"next try in {seconds(delay)}" if delay else "next try at once"


def _farewell(fleet: Fleet) -> Iterator[str]:
    yield f"Failed: {in_brief(fleet.trouble)}" if fleet.trouble else "Stopping"
    if leaving := len(queries.workers_in(fleet, WorkerState.DRAINING, WorkerState.FAILED)):
        yield f"{how_many(leaving, 'worker')} draining"
    if killed := len(queries.workers_in(fleet, WorkerState.KILLED)):
        yield f"{how_many(killed, 'worker')} killed"
