"""What a user may set about the fleet of workers, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

_SHUTDOWN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What the supervisor needs of the `[workers]` section. Times in seconds."""

    count: int = 1
    """Slots to fill; `auto` has been turned into a number before."""
    boot_timeout: float = 60.0
    """From the fork to the worker's own word that it answers."""
    drain_timeout: float = 30.0
    """How long requests in flight may take to finish once a worker drains; it cuts them off itself."""
    backoff_first: float = 1.0
    """A slot that crashes again waits this long before it is filled, then 1.5 times longer each time ..."""
    backoff_longest: float = 30.0
    """... up to this, until it was ready for `backoff_reset`."""
    backoff_reset: float = 60.0

    @property
    def drain_limit(self) -> float:
        """From the order to drain to SIGKILL: `drain_timeout`, and then the application's own shutdown."""
        return self.drain_timeout + _SHUTDOWN
