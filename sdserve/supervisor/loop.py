"""The supervisor's loop: wait, step, perform."""

from __future__ import annotations

from collections import deque
from time import monotonic

from sdserve.core.fleet import events, queries
from sdserve.core.fleet.machine import Fleet, step
from sdserve.supervisor import observe
from sdserve.supervisor.house import House
from sdserve.supervisor.perform import perform


def run(house: House, fleet: Fleet) -> int:
    """Supervise until the fleet orders the exit; its code. The house stays the caller's."""
    pending: deque[events.Event] = deque([events.Started()])
    while True:
        while pending:
            fleet, effects = step(fleet, pending.popleft(), monotonic())
            house.fleet = fleet
            for effect in effects:
                pending.extend(perform(house, effect))
            if house.exit_code is not None:
                return house.exit_code
        pending.extend(observe.wait(house, queries.next_deadline(fleet)))
