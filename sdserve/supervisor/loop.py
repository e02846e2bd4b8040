"""The supervisor's loop: wait, step, perform."""

from __future__ import annotations

from collections import deque
from time import monotonic

from sdserve.core.fleet import events, queries
from sdserve.core.fleet.machine import step
from sdserve.supervisor import observe
from sdserve.supervisor.house import House
from sdserve.supervisor.perform import perform
from sdserve.supervisor.reexec import replace_program


def run(house: House, first: events.Started | events.Resumed) -> int:
    """Supervise the house's fleet until that orders the exit; its code. The house stays the caller's."""
    fleet = house.fleet
    pending: deque[events.Event] = deque([first])
    while True:
        while pending:
            fleet, effects = step(fleet, pending.popleft(), monotonic())
            house.fleet = fleet
            for effect in effects:
                pending.extend(perform(house, effect))
            if house.exit_code is not None:
                return house.exit_code
        if house.keeper is not None:
            house.keeper.save(house)
        if house.replacement and house.is_quiet:
            generation, house.replacement = house.replacement, 0
            pending.append(replace_program(house, generation))
            continue
        pending.extend(observe.wait(house, queries.next_deadline(fleet)))
