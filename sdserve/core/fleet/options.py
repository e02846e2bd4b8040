"""What a user may set about the fleet of workers, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

MOST_WORKERS = 1024
_SHUTDOWN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What the supervisor needs of the `[workers]` and `[reload]` sections. Times in seconds."""

    count: int = 1
    """Slots to fill, 1 to `MOST_WORKERS`; `auto` has been turned into a number before."""
    min_ready: int = 0
    """Workers that have to be ready before the service is; 0 or more than there are: all."""
    boot_timeout: float = 60.0
    """From the fork to the worker's own word that it answers."""
    drain_timeout: float = 30.0
    """How long requests in flight may take to finish once a worker drains; it cuts them off itself."""
    stall_timeout: float = 60.0
    """How long the loop of a ready worker may stand still; 0: for ever."""
    idle_exit: float = 0.0
    """After so long without a connection the service stops; 0: never."""
    surge: int = 1
    """The most workers beyond `count` that may boot at once to replace others, 1 or more."""
    backoff_first: float = 1.0
    """A slot that crashes again waits this long before it is filled, then 1.5 times longer each time ..."""
    backoff_longest: float = 30.0
    """... up to this, until it was ready for `backoff_reset`."""
    backoff_reset: float = 60.0

    @property
    def drain_limit(self) -> float:
        """From the order to drain to SIGKILL: `drain_timeout`, and then the application's own shutdown."""
        return self.drain_timeout + _SHUTDOWN
