"""What a worker process is given at birth: the contract between the process that forks and `worker`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from sdserve.host.fds import Fd
from sdserve.host.scoreboard import ScoreboardRow


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """A worker's identity and the descriptors it owns from now on."""

    generation: int
    serial: int
    """Unique over the supervisor's life; a successor in the same slot has another."""
    slot: int
    """1..N; the successor reuses it."""
    channel: socket.socket
    """SOCK_SEQPACKET to the supervisor, one JSON message a packet; EOF means the supervisor is gone."""
    listeners: list[tuple[str, socket.socket]]
    """(name of the `[listen:NAME]` section, listening socket); all workers share them: never shut down."""
    row: ScoreboardRow
    mailbox: socket.socket | None = None
    """Where connections come from other workers; shared by all workers of the generation."""
    since_ns: int = 0
    """When the generation was found on the disk: nanoseconds since the epoch; 0: unknown."""
    application: Any = None
    """The application object when the zygote preloaded it, else None: the worker imports it."""
    certificates: Fd | None = None
    """What `core.tls.material` has encoded, if a listener speaks TLS."""
