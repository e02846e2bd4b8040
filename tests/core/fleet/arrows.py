"""Which states follow which: found by running the moves and the rules, one at a time.

`walk` finds all of them, by chance but each time the same; that none is missing the histories check.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial

from sdserve.core.fleet import events, queries
from sdserve.core.fleet.machine import Fleet, _move
from sdserve.core.fleet.model import Phase, WorkerState, ZygoteState
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.fleet.rules import RULES
from tests.core.fleet.kernel import Kernel
from tests.core.fleet.world import World

SEED = 2
LIVES = 200
"""Fleets, from their start to their end."""
STEPS = 60
"""In the life of one, before it is told to stop."""

State = Phase | ZygoteState | WorkerState
Arrow = tuple[State, State]


def trace(fleet: Fleet, event: events.Event, now: float) -> set[Arrow]:
    """The changes of state that `event` leads to."""
    found: set[Arrow] = set()
    after, _ = _move(fleet, event)(fleet, event, now)
    while True:
        found |= set(_between(fleet, after))
        fleet = after
        change = next(filter(None, (rule(fleet, now) for rule in RULES)), None)
        if change is None:
            return found
        after, _ = change


def _between(before: Fleet, after: Fleet) -> Iterator[Arrow]:
    if before.phase is not after.phase:
        yield before.phase, after.phase
    yield from _changes(_zygotes(before), _zygotes(after), ZygoteState.GONE)
    yield from _changes(_workers(before), _workers(after), WorkerState.GONE)


def _zygotes(fleet: Fleet) -> Mapping[int, State]:
    return {number: generation.zygote for number, generation in fleet.generations.items()}


def _workers(fleet: Fleet) -> Mapping[int, State]:
    return {serial: worker.state for serial, worker in fleet.workers.items()}


def _changes(before: Mapping[int, State], after: Mapping[int, State], gone: State) -> Iterator[Arrow]:
    for key in {*before, *after}:
        pair = before.get(key, gone), after.get(key, gone)
        if pair[0] is not pair[1]:
            yield pair


@cache
def walk() -> frozenset[Arrow]:
    """All arrows that there are."""
    chance = random.Random(SEED)
    found: set[Arrow] = set()
    for _ in range(LIVES):
        world = World(FleetOptions(count=2, boot_timeout=10.0, drain_timeout=5.0))
        world.told = lambda before, event, now: found.update(trace(before, event, now))
        if chance.random() < 0.95:
            world.tell(events.Started())
        for _ in range(chance.randrange(STEPS)):
            if world.fleet.phase is not Phase.ENDED:
                world.tell(*_happening(world, chance))
        world.tell(events.StopAsked())
        world.runs_dry(chance.choice([Kernel.goes_on_well, Kernel.buries_the_killed]))
    return frozenset(found)


def _happening(world: World, chance: random.Random) -> list[events.Event]:
    """Something that may happen next."""
    kernel = world.kernel
    if chance.random() < 0.6 and (well := kernel.goes_on_well()):
        return well
    choices: list[Callable[[], list[events.Event]]] = [
        lambda: [events.ReloadAsked(0, chance.choice([False, True]))],
        lambda: [events.ScaleChanged(chance.choice([-1, 1]))],
        lambda: _deadline(world),
    ]
    for worker in kernel.born:
        choices.append(partial(kernel.worker_exits, worker, 1))
        choices.append(partial(kernel.worker_fails, worker))
        if worker.ready:
            choices.append(partial(kernel.worker_stalls, worker, 61.0))
    for zygote in kernel.zygotes.values():
        choices.append(partial(kernel.zygote_exits, zygote, 1))
        if zygote.forks:
            choices.append(partial(kernel.zygote_refuses, zygote))
        choices.append(partial(kernel.zygote_fails, zygote))
        if not (zygote.ready or zygote.failed):
            choices.append(partial(kernel.zygote_is_not_started, zygote))
    for number in kernel.preparing:
        choices.append(partial(kernel.generation_is_refused, number))
        choices.append(
            partial(kernel.generation_is_prepared, number, kernel.next_options, replace_program=True)
        )
    choices += [partial(kernel.program_is_not_replaced, number) for number in kernel.replacing]
    choices += [partial(kernel.lost_worker_turns_up, serial) for serial in kernel.lost]
    return chance.choice(choices)()


def _deadline(world: World) -> list[events.Event]:
    world.now = max(world.now, queries.next_deadline(world.fleet) or 0.0)
    return [events.TimePassed()]
