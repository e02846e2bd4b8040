"""Whether anybody has been there lately: `workers.idle_exit`, for scale to zero."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdserve.core.fleet import events
from sdserve.core.fleet.model import Phase
from sdserve.host import scoreboard

if TYPE_CHECKING:
    from sdserve.supervisor.house import House

LOOKS = 10
"""In each `idle_exit`, so that it is exceeded by a tenth at most."""


@dataclass(slots=True)
class Idle:
    """What was seen so far, in the scoreboard."""

    _last_look: float = field(default_factory=time.monotonic)
    _since: float = field(default_factory=time.monotonic)
    """When somebody was seen last."""
    _accepted: dict[int, int] = field(default_factory=dict)
    """Connections so far, by serial: one may come and go between two looks."""

    def next_look(self, house: House) -> float | None:
        """When `look` has something to do. Without a socket unit nobody would start us again."""
        limit = house.fleet.options.idle_exit
        if not limit or not all(listener.is_passed for listener in house.listeners):
            return None
        return self._last_look + limit / LOOKS

    def look(self, house: House, now: float) -> Iterator[events.Event]:
        """Whether it has been quiet for so long."""
        self._last_look = now
        before, self._accepted = self._accepted, {}
        for worker in house.workers.values():
            words = house.row_of(worker).words
            accepted = self._accepted[worker.serial] = words[scoreboard.ACCEPTED]
            if words[scoreboard.CONNECTIONS] or accepted != before.get(worker.serial, 0):
                self._since = now
        if house.fleet.phase is not Phase.SERVING:
            self._since = now
        elif now - self._since >= house.fleet.options.idle_exit:
            yield events.WentIdle(now - self._since)
