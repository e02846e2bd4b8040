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
    _accepted: int = 0
    """Connections so far: one may come and go between two looks, and its worker with it."""

    def next_look(self, house: House) -> float | None:
        """When `look` has something to do. Without a socket unit nobody would start us again."""
        limit = house.fleet.options.idle_exit
        if not limit or not all(listener.is_passed for listener in house.listeners):
            return None
        return self._last_look + limit / LOOKS

    def look(self, house: House, now: float) -> Iterator[events.Event]:
        """Whether it has been quiet for so long."""
        self._last_look = now
        rows = [house.row_of(worker).words for worker in house.workers.values()]
        accepted = house.accepted + sum(words[scoreboard.ACCEPTED] for words in rows)
        is_visited = accepted != self._accepted or any(words[scoreboard.CONNECTIONS] for words in rows)
        self._accepted = accepted
        if is_visited or house.fleet.phase is not Phase.SERVING:
            self._since = now
        elif now - self._since >= house.fleet.options.idle_exit:
            yield events.WentIdle(now - self._since)
