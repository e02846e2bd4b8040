"""Two ways to do nothing, which the tables tell apart."""

from __future__ import annotations

from sdserve.core.fleet.effects import Log
from sdserve.core.fleet.events import Event
from sdserve.core.fleet.model import Change, Fleet


def ignore(fleet: Fleet, _: Event, __: float) -> Change:
    """This does happen, as orders and news cross, and makes no difference."""
    return fleet, ()


def contradict(fleet: Fleet, event: Event, _: float) -> Change:
    """This does not happen unless the teller is wrong, but it is better to carry on than to die of it."""
    return fleet, (Log("warning", f"{event} contradicts what was told before, ignoring"),)
