"""Questions about a fleet. None of them changes anything, and none needs to know the time."""

from __future__ import annotations

from collections.abc import Iterator

from sdserve.core.fleet.model import Fleet, Generation, Phase, Slot, Worker, WorkerState, ZygoteState

BOOT_TRIES = 3
"""Of a slot, and of the zygote, as long as nobody in the first generation has ever been ready."""
FORKS_AT_ONCE = 8
"""Ordered and not answered: enough to keep the zygote busy, few enough for any socket buffer."""


def is_running(fleet: Fleet) -> bool:
    """Whether slots are to be filled."""
    return fleet.phase in (Phase.BOOTING, Phase.SERVING)


def is_needed(fleet: Fleet, generation: int) -> bool:
    """Whether workers of the generation may yet be wanted."""
    return is_running(fleet) and generation in (fleet.current, fleet.candidate, fleet.previous)


def workers_in(fleet: Fleet, *states: WorkerState) -> list[Worker]:
    """The workers in one of `states`, oldest first."""
    return [worker for worker in fleet.workers.values() if worker.state in states]


def workers_of(fleet: Fleet, generation: int) -> list[Worker]:
    """The workers of `generation`, in whatever state."""
    return [worker for worker in fleet.workers.values() if worker.generation == generation]


def unborn(fleet: Fleet, generation: int) -> list[Worker]:
    """The workers that the zygote of `generation` has yet to answer for."""
    return [worker for worker in workers_of(fleet, generation) if worker.is_unborn]


def ready_count(fleet: Fleet) -> int:
    """How many workers answer requests and are to go on with it."""
    return len(workers_in(fleet, WorkerState.READY))


def all_ready(fleet: Fleet) -> bool:
    """Whether the fleet is full: every slot holds a worker that is ready."""
    return ready_count(fleet) == len(fleet.slots)


def enough_ready(fleet: Fleet) -> bool:
    """Whether the service may be called up: `min_ready` workers are ready, or all there are to be."""
    return ready_count(fleet) >= min(fleet.options.min_ready or len(fleet.slots), len(fleet.slots))


def is_rolled_out(fleet: Fleet) -> bool:
    """Whether the fleet is full, and nobody in it is of another generation than the current one."""
    return all_ready(fleet) and not stale_slots(fleet) and len(fleet.slots) == wanted_count(fleet)


def wanted_count(fleet: Fleet) -> int:
    """How many slots there are to be."""
    return fleet.generations[fleet.current].count


def slot_of(fleet: Fleet, worker: Worker) -> Slot | None:
    """The slot that is the worker's own, or is to be."""
    slot = fleet.slots.get(worker.slot)
    return slot if slot is not None and worker.serial in (slot.occupant, slot.successor) else None


def occupant_of(fleet: Fleet, slot: Slot) -> Worker | None:
    """The worker whose slot it is."""
    return None if slot.occupant is None else fleet.workers[slot.occupant]


def successor_of(fleet: Fleet, slot: Slot) -> Worker | None:
    """The worker whose slot it will be."""
    return None if slot.successor is None else fleet.workers[slot.successor]


def successors(fleet: Fleet) -> list[Worker]:
    """The workers that are to take over the slots of others."""
    return [fleet.workers[slot.successor] for slot in fleet.slots.values() if slot.successor is not None]


def heir(fleet: Fleet) -> int:
    """The generation whose workers take over the connections of those who go; 0: nobody does."""
    return fleet.current if is_running(fleet) else 0


def ill_informed(fleet: Fleet) -> list[Worker]:
    """The workers that drain for heirs who are not the heirs any more."""
    return [
        worker
        for worker in workers_in(fleet, WorkerState.DRAINING)
        if worker.heir is not None and worker.heir != heir(fleet)
    ]


def canary(fleet: Fleet) -> Worker | None:
    """The one worker of the generation on trial. It is somebody's successor, but inherits from nobody yet."""
    if not fleet.candidate:
        return None
    return next((worker for worker in successors(fleet) if worker.generation == fleet.candidate), None)


def stale_slots(fleet: Fleet) -> list[Slot]:
    """The slots whose occupants are of another generation than the current one."""
    return [
        slot
        for slot in fleet.slots.values()
        if (worker := occupant_of(fleet, slot)) and worker.generation != fleet.current
    ]


def generations_to_open(fleet: Fleet) -> list[Generation]:
    """The generations that need a zygote, each from its `retry_at` on."""
    wanted = {fleet.current, fleet.candidate}
    if is_to_go_back(fleet):
        wanted.add(fleet.previous)
    return [
        generation
        for number, generation in fleet.generations.items()
        if number in wanted and generation.zygote is ZygoteState.ABSENT and is_running(fleet)
    ]


def is_to_go_back(fleet: Fleet) -> bool:
    """Whether a reload has failed while it was rolling, and nothing newer is on trial."""
    return fleet.reload is not None and fleet.reload.trouble != "" and not fleet.candidate


def slot_to_fill(fleet: Fleet) -> Slot | None:
    """The slot that is to be filled next, from its `retry_at` on."""
    if not _can_fork(fleet):
        return None
    vacant = [slot for slot in fleet.slots.values() if slot.occupant is None and not is_given_up(fleet, slot)]
    return min(vacant, key=lambda slot: slot.retry_at, default=None)


def slots_to_renew(fleet: Fleet) -> list[Slot]:
    """The slots of which one gets a successor next, each from its `retry_at` on; the first comes first.

    Stale ones are renewed several at a time. What workers wish for themselves is granted one at a time, and
    has to wait while a reload is under way, which may grant it anyway.
    """
    if fleet.candidate or is_to_go_back(fleet) or not _can_fork(fleet):
        return []
    coming = [slot for slot in fleet.slots.values() if slot.successor is not None]
    if stale := stale_slots(fleet):
        return [slot for slot in stale if slot not in coming] if len(coming) < fleet.options.surge else []
    if coming or fleet.reload:
        return []
    return sorted((slot for slot in fleet.slots.values() if slot.wish), key=lambda slot: slot.wished_at)


def _can_fork(fleet: Fleet) -> bool:
    """Whether another worker of the current generation can be ordered."""
    return _is_open(fleet, fleet.current) and len(unborn(fleet, fleet.current)) < FORKS_AT_ONCE


def _is_open(fleet: Fleet, number: int) -> bool:
    generation = fleet.generations.get(number)
    return generation is not None and generation.zygote is ZygoteState.OPEN


def is_given_up(fleet: Fleet, slot: Slot) -> bool:
    """Whether the slot is not tried again unless a worker of another one becomes ready."""
    return slot.failures >= BOOT_TRIES and not fleet.generations[fleet.current].served


def hopelessness(fleet: Fleet) -> str:
    """Why the first generation will never serve; empty while it, or one on trial, may, and once it has."""
    generation = fleet.generations.get(fleet.current)
    if generation is None or generation.served or fleet.candidate or not is_running(fleet):
        return ""
    enough = BOOT_TRIES if generation.open_since is not None else 1
    if generation.zygote is ZygoteState.ABSENT and generation.failures >= enough:
        return f"zygote {generation.trouble}"
    if all(slot.failures for slot in fleet.slots.values()):
        return f"no worker became ready, the last one of slot 1 {fleet.slots[1].trouble}"
    return ""


def progress(fleet: Fleet) -> tuple[int, ...]:
    """How far that has come which the service manager waits for: it grows. Empty if it waits for nothing."""
    match fleet.phase:
        case Phase.BOOTING:
            return 1, int(_is_open(fleet, fleet.current)), ready_count(fleet)
        case Phase.SERVING if fleet.candidate:
            return 2, fleet.candidate, 0, int(_is_open(fleet, fleet.candidate))
        case Phase.SERVING if fleet.reload:
            return 2, fleet.current, 1, len(fleet.slots) - len(stale_slots(fleet))
        case Phase.STOPPING if fleet.generations:
            return 3, -len(fleet.workers) - len(fleet.generations)
        case _:
            return ()


def next_deadline(fleet: Fleet) -> float | None:
    """When `TimePassed` is to be told, if nothing happens before."""
    return min(_deadlines(fleet), default=None)


def _deadlines(fleet: Fleet) -> Iterator[float]:
    limited: list[Worker | Generation] = [*fleet.workers.values(), *fleet.generations.values()]
    for one in limited:
        if one.deadline is not None:
            yield one.deadline
    for generation in generations_to_open(fleet):
        yield generation.retry_at
    if slot := slot_to_fill(fleet):
        yield slot.retry_at
    for slot in slots_to_renew(fleet):
        yield slot.retry_at


def name_of(whom: Worker | Generation) -> str:
    """The worker, or the generation's zygote, as an operator finds it elsewhere."""
    if isinstance(whom, Generation):
        return f"zygote of generation {whom.number}"
    slot = f"slot {whom.slot}, " if whom.slot else ""
    pid = f", pid {whom.pid}" if whom.pid is not None else ""
    return f"worker {whom.serial} ({slot}generation {whom.generation}{pid})"
