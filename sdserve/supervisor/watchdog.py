"""The service manager's watchdog: WATCHDOG=1 means that requests are being served, or would be.

That this loop turns is not enough. Some worker has to go on: its own loop has turned since the last look, or
it burns CPU time, which a long computation does and a deadlock does not. Or there is one that boots or is to
be started, for which there is a deadline. Who stands still is dealt with by `watch`, one at a time; this is
for when nothing helps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdserve.core.fleet import events, queries
from sdserve.core.fleet.model import Phase, WorkerState
from sdserve.host import notify, scoreboard, usage
from sdserve.supervisor.watch import BUSY, SECOND_LOOK

if TYPE_CHECKING:
    from sdserve.supervisor.house import House, Worker

LOOKS = 3
"""In each interval of the watchdog."""
FRESH = 2 * SECOND_LOOK
"""Seconds for which a heartbeat counts, so that looks may come more often than heartbeats."""

Seen = dict[int, tuple[int, float]]
"""Heartbeat, in nanoseconds, and CPU seconds by serial."""
_NANO = 1e-9


@dataclass(slots=True)
class Watchdog:
    """What was seen at the last look."""

    _interval: float = field(default_factory=notify.watchdog_interval)
    _last_look: float = 0.0
    _seen: Seen = field(default_factory=dict)

    def next_look(self, _: House) -> float | None:
        """When `look` has something to do."""
        return self._last_look + self._interval / LOOKS if self._interval else None

    def look(self, house: House, now: float) -> Iterator[events.Event]:
        """Tell the service manager that all is well, if so."""
        elapsed, self._last_look = now - self._last_look, now
        before, self._seen = self._seen, {}
        goes_on = [self._goes_on(house, worker, before, now, elapsed) for worker in house.workers.values()]
        if house.fleet.phase is not Phase.SERVING or any(goes_on) or _is_filling(house):
            house.tell_manager(notify.WATCHDOG)
        return iter(())

    def _goes_on(self, house: House, worker: Worker, before: Seen, now: float, elapsed: float) -> bool:
        words = house.row_of(worker).words
        if worker.pid is None or words[scoreboard.STATE] != scoreboard.READY:
            return False
        heartbeat, cpu = words[scoreboard.HEARTBEAT_NS], usage.cpu_seconds(worker.pid)
        self._seen[worker.serial] = heartbeat, cpu
        if worker.serial not in before:
            return True
        last_heartbeat, last_cpu = before[worker.serial]
        has_turned = heartbeat != last_heartbeat or now - heartbeat * _NANO < FRESH
        return has_turned or cpu - last_cpu >= BUSY * elapsed


def _is_filling(house: House) -> bool:
    """Whether somebody boots, or a slot waits for its next worker: it is filled at a known moment."""
    fleet = house.fleet
    is_vacant = any(slot.occupant is None for slot in fleet.slots.values())
    return is_vacant or bool(queries.workers_in(fleet, WorkerState.FORKING, WorkerState.BOOTING))
