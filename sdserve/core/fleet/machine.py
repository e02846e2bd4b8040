"""The fleet in motion: `step` takes what happened and answers with what is to be done.

    fleet, effects = step(fleet, event, now)

The caller carries out `effects` in their order, tells what came of them, and tells `TimePassed` at
`queries.next_deadline(fleet)` if nothing happens before. It begins with `Fleet(options=...)` and
`Started`, and is done once `Exit` has been ordered.
"""

from __future__ import annotations

from sdserve.core.fleet.disregard import contradict, ignore
from sdserve.core.fleet.effects import Effect
from sdserve.core.fleet.events import Event, WorkerEvent, ZygoteEvent
from sdserve.core.fleet.model import Change, Fleet, Move, Phase, WorkerState, ZygoteState
from sdserve.core.fleet.rules import RULES
from sdserve.core.fleet.transitions import FLEET_MOVES, WORKER_MOVES, ZYGOTE_MOVES

__all__ = ["Fleet", "settle", "step"]


def step(fleet: Fleet, event: Event, now: float) -> Change:
    """What `event`, told at `now` (seconds, monotonic), makes of the fleet, and the orders it leads to."""
    fleet, caused = _move(fleet, event)(fleet, event, now)
    fleet, followed = settle(fleet, now)
    return fleet, caused + followed


def settle(fleet: Fleet, now: float) -> Change:
    """Apply the rules, the first that has something to say at a time, until all are silent."""
    effects: tuple[Effect, ...] = ()
    while change := next(filter(None, (rule(fleet, now) for rule in RULES)), None):
        fleet, more = change
        effects += more
    return fleet, effects


def _move(fleet: Fleet, event: Event) -> Move:
    """The entry of the table that `event` belongs to."""
    if fleet.phase is Phase.ENDED:
        return ignore  # whoever is told something now has been told to exit
    if isinstance(event, WorkerEvent):
        return _worker_move(fleet, event)
    if isinstance(event, ZygoteEvent):
        generation = fleet.generations.get(event.generation)
        return ZYGOTE_MOVES[generation.zygote if generation else ZygoteState.GONE][type(event)]
    return FLEET_MOVES[fleet.phase][type(event)]


def _worker_move(fleet: Fleet, event: WorkerEvent) -> Move:
    worker = fleet.workers.get(event.serial)
    if worker is not None and worker.generation != event.generation:
        return contradict  # a serial belongs to one generation for ever
    return WORKER_MOVES[worker.state if worker else WorkerState.GONE][type(event)]
