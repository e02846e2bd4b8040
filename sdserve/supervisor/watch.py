"""Watching workers that may have stopped working: their heartbeats in the scoreboard.

A worker writes into its row when its loop last turned. Looking costs nothing, but waking up does, so it is
done a few times in each `stall_timeout`, and only while somebody serves. A heartbeat that is too old is
looked at a second time before it is told: after a pause of the whole machine every one of them is old,
and between the two looks it shows who burns CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdserve.core.fleet import events
from sdserve.host import scoreboard, usage

if TYPE_CHECKING:
    from sdserve.supervisor.house import House, Worker

LOOKS = 4
"""In each `stall_timeout`."""
SECOND_LOOK = 1.0
"""Seconds until a worker that is suspected is looked at again: a loop that lives turns within this."""
LAST_LOOK = 0.25
"""Seconds between looks at one that is said to have stalled: it will be killed soon unless it goes on."""
BUSY = 0.1
"""Of a CPU: who uses more between two looks is busy, not blocked."""

_NANO = 1e-9


@dataclass(slots=True, kw_only=True)
class _Suspect:
    """A worker whose heartbeat is too old."""

    heartbeat: int
    """Which is old, nanoseconds."""
    since: float
    cpu: float
    """CPU seconds it had used by then."""
    is_told: bool = False


@dataclass(slots=True)
class Watch:
    """What was seen so far."""

    _last_look: float = field(default_factory=time.monotonic)
    _suspects: dict[int, _Suspect] = field(default_factory=dict)
    """By serial."""
    _oom_kills: int = field(default_factory=usage.oom_kills)
    """Those that have been accounted for."""

    def next_look(self, house: House) -> float | None:
        """When `look` has something to do: seconds, CLOCK_MONOTONIC."""
        limits = [_limit(house, worker) for worker in house.workers.values() if _serves(house, worker)]
        pauses = [limit / LOOKS for limit in limits if limit]
        if not pauses:
            return None
        pauses += [LAST_LOOK if suspect.is_told else SECOND_LOOK for suspect in self._suspects.values()]
        return self._last_look + min(pauses)

    def look(self, house: House, now: float) -> Iterator[events.Event]:
        """Who has stalled, and who has not after all."""
        self._last_look = now
        self._oom_kills = usage.oom_kills()
        for serial in self._suspects.keys() - house.workers.keys():
            del self._suspects[serial]
        for worker in house.workers.values():
            limit = _limit(house, worker)
            if limit and worker.pid is not None and _serves(house, worker):
                yield from self._judge(worker, worker.pid, _heartbeat(house, worker), limit, now)

    def _judge(
        self, worker: Worker, pid: int, heartbeat: int, limit: float, now: float
    ) -> Iterator[events.Event]:
        suspect = self._suspects.get(worker.serial)
        age = now - heartbeat * _NANO
        if suspect is not None and suspect.heartbeat != heartbeat:
            del self._suspects[worker.serial]
            if suspect.is_told:
                yield events.WorkerRecovered(worker.generation, worker.serial)
        elif suspect is None and age >= limit:
            self._suspects[worker.serial] = _Suspect(
                heartbeat=heartbeat, since=now, cpu=usage.cpu_seconds(pid)
            )
        elif suspect is not None and not suspect.is_told and now > suspect.since:
            suspect.is_told = True
            used = (usage.cpu_seconds(pid) - suspect.cpu) / (now - suspect.since)
            yield events.WorkerStalled(worker.generation, worker.serial, seconds=age, busy=used >= BUSY)

    def oom_victims(self, killed: int) -> int:
        """How many of `killed` processes that have just died of SIGKILL the kernel has killed for memory."""
        if not killed:
            return 0
        before, self._oom_kills = self._oom_kills, usage.oom_kills()
        return min(killed, max(0, self._oom_kills - before))


def _serves(house: House, worker: Worker) -> bool:
    # While it drains the fleet has a deadline for it, and its loop may have ended already.
    words = house.row_of(worker).words
    return words[scoreboard.STATE] == scoreboard.READY and words[scoreboard.HEARTBEAT_NS] > 0


def _heartbeat(house: House, worker: Worker) -> int:
    return house.row_of(worker).words[scoreboard.HEARTBEAT_NS]


def _limit(house: House, worker: Worker) -> float:
    """Its `stall_timeout`; 0: none."""
    prepared = house.prepared.get(worker.generation)
    return prepared.configuration.fleet.stall_timeout if prepared else 0.0
