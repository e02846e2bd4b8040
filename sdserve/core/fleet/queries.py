"""Questions about a fleet. None of them changes anything, and none needs to know the time."""

from __future__ import annotations

from collections.abc import Iterator

from sdserve.core.fleet.causes import how_many, in_brief, seconds
from sdserve.core.fleet.model import Fleet, Generation, Phase, Slot, Worker, WorkerState, ZygoteState

BOOT_TRIES = 3
"""Of a slot, and of the zygote, as long as nobody in the first generation has ever been ready."""
FORKS_AT_ONCE = 8
"""Ordered and not answered: enough to keep the zygote busy, few enough for any socket buffer."""


def is_running(fleet: Fleet) -> bool:
    """Whether slots are to be filled."""
    return fleet.phase in (Phase.BOOTING, Phase.SERVING)


def workers_in(fleet: Fleet, *states: WorkerState) -> list[Worker]:
    """The workers in one of `states`, oldest first."""
    return [worker for worker in fleet.workers.values() if worker.state in states]


def ready_count(fleet: Fleet) -> int:
    """How many workers answer requests."""
    return len(workers_in(fleet, WorkerState.READY))


def unborn(fleet: Fleet, generation: int) -> list[Worker]:
    """The workers that the zygote of `generation` has yet to answer for."""
    return [
        worker for worker in fleet.workers.values() if worker.generation == generation and worker.is_unborn
    ]


def all_ready(fleet: Fleet) -> bool:
    """Whether the fleet is full: every slot holds a worker that is ready."""
    return ready_count(fleet) == len(fleet.slots)


def generation_to_open(fleet: Fleet) -> Generation | None:
    """The generation that needs a zygote, from its `retry_at` on."""
    generation = fleet.generations.get(fleet.current)
    if generation is None or generation.zygote is not ZygoteState.ABSENT or not is_running(fleet):
        return None
    return generation


def slot_to_fill(fleet: Fleet) -> Slot | None:
    """The slot that is to be filled next, from its `retry_at` on."""
    generation = fleet.generations.get(fleet.current)
    if generation is None or generation.zygote is not ZygoteState.OPEN:
        return None
    if len(unborn(fleet, generation.number)) >= FORKS_AT_ONCE:
        return None
    vacant = [slot for slot in fleet.slots.values() if slot.occupant is None and not is_given_up(fleet, slot)]
    return min(vacant, key=lambda slot: slot.retry_at, default=None)


def is_given_up(fleet: Fleet, slot: Slot) -> bool:
    """Whether the slot is not tried again unless a worker of another one becomes ready."""
    return slot.failures >= BOOT_TRIES and not fleet.generations[fleet.current].served


def hopelessness(fleet: Fleet) -> str:
    """Why the first generation will never serve; empty while it may, and once it has."""
    generation = fleet.generations.get(fleet.current)
    if generation is None or generation.served or not is_running(fleet):
        return ""
    enough = BOOT_TRIES if generation.open_since is not None else 1
    if generation.zygote is ZygoteState.ABSENT and generation.failures >= enough:
        return f"zygote {generation.trouble}"
    if all(slot.failures for slot in fleet.slots.values()):
        return f"no worker became ready, the last one of slot 1 {fleet.slots[1].trouble}"
    return ""


def holds_slot(fleet: Fleet, worker: Worker) -> bool:
    """Whether its slot is still the worker's own."""
    slot = fleet.slots.get(worker.slot)
    return slot is not None and slot.occupant == worker.serial


def next_deadline(fleet: Fleet) -> float | None:
    """When `TimePassed` is to be told, if nothing happens before."""
    return min(_deadlines(fleet), default=None)


def _deadlines(fleet: Fleet) -> Iterator[float]:
    limited: list[Worker | Generation] = [*fleet.workers.values(), *fleet.generations.values()]
    for one in limited:
        if one.deadline is not None:
            yield one.deadline
    if generation := generation_to_open(fleet):
        yield generation.retry_at
    if slot := slot_to_fill(fleet):
        yield slot.retry_at


def name_of(whom: Worker | Generation) -> str:
    """The worker, or the generation's zygote, as an operator finds it elsewhere."""
    if isinstance(whom, Generation):
        return f"zygote of generation {whom.number}"
    slot = f"slot {whom.slot}, " if whom.slot else ""
    pid = f", pid {whom.pid}" if whom.pid is not None else ""
    return f"worker {whom.serial} ({slot}generation {whom.generation}{pid})"


def status_line(fleet: Fleet) -> str:
    """What the service manager is told: one line, true until the next event."""
    match fleet.phase:
        case Phase.NEW:
            return ""
        case Phase.BOOTING:
            return ", ".join(["Booting", *_strength(fleet)])
        case Phase.SERVING:
            return ", ".join(["Serving" if ready_count(fleet) else "Not serving", *_strength(fleet)])
        case _:
            return ", ".join(_farewell(fleet))


def _strength(fleet: Fleet) -> Iterator[str]:
    yield f"{ready_count(fleet)} of {len(fleet.slots)} workers ready"
    if leaving := len(workers_in(fleet, WorkerState.DRAINING)):
        yield f"{leaving} draining"
    yield from _slot_troubles(fleet)
    generation = fleet.generations[fleet.current]
    if generation.trouble:
        yield f"zygote {in_brief(generation.trouble)}"
    if generation.zygote is ZygoteState.ABSENT:
        yield _wait(generation.delay)


def _slot_troubles(fleet: Fleet) -> Iterator[str]:
    troubled = [slot for slot in fleet.slots.values() if slot.trouble]
    if not troubled:
        return
    yield f"slot {troubled[0].number} {in_brief(troubled[0].trouble)}"
    yield prospect(fleet, troubled[0])
    if len(troubled) > 1:
        yield f"{how_many(len(troubled) - 1, 'more slot')} in trouble"


def prospect(fleet: Fleet, slot: Slot) -> str:
    """What becomes of a slot whose last worker came to grief."""
    if slot.occupant is not None:
        return "trying again"
    if is_given_up(fleet, slot):
        return f"not tried again after {BOOT_TRIES} times"
    if fleet.generations[fleet.current].zygote is not ZygoteState.OPEN:
        return "next try with the next zygote"
    return _wait(slot.delay)


def _wait(delay: float) -> str:
    return f"next try in {seconds(delay)}" if delay else "next try at once"


def _farewell(fleet: Fleet) -> Iterator[str]:
    yield f"Failed: {in_brief(fleet.trouble)}" if fleet.trouble else "Stopping"
    if leaving := len(workers_in(fleet, WorkerState.DRAINING, WorkerState.FAILED)):
        yield f"{how_many(leaving, 'worker')} draining"
    if killed := len(workers_in(fleet, WorkerState.KILLED)):
        yield f"{how_many(killed, 'worker')} killed"
