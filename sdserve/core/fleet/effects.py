"""What is to be done: orders of the fleet, carried out in their order by `supervisor.perform`.

An order that cannot be carried out is answered by an event; none of them raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class OpenGeneration:
    """Start a zygote for this generation; the same one again when its zygote died.

    Answered by `ZygoteNotStarted`, or by `ZygoteReady` or `ZygoteFailed` and, in the end, `ZygoteExited`.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class CloseGeneration:
    """Let the generation's zygote go (close its channel). `ZygoteExited` follows."""

    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Ask the zygote for a worker. Answered by `WorkerForked` or `ForkFailed`, never if the zygote dies."""

    generation: int
    serial: int
    slot: int
    """1 to N; the successor of a worker gets its slot."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask the worker to finish what it has and exit."""

    generation: int
    serial: int


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to the worker."""

    generation: int
    serial: int


@dataclass(frozen=True, slots=True)
class KillZygote:
    """SIGKILL to the generation's zygote."""

    generation: int


@dataclass(frozen=True, slots=True)
class NotifyReady:
    """Tell the service manager READY=1, and a terminal the banner. Given once."""


@dataclass(frozen=True, slots=True)
class NotifyStopping:
    """Tell the service manager STOPPING=1. Given once."""


@dataclass(frozen=True, slots=True)
class NotifyStatus:
    """Tell the service manager STATUS=text. Given when the text changes."""

    text: str


@dataclass(frozen=True, slots=True)
class Log:
    """Say this to the operator."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """End the supervisor with this exit status. Given once, last, and only when no process is left."""

    code: int


Effect = (
    OpenGeneration
    | CloseGeneration
    | Fork
    | Drain
    | Kill
    | KillZygote
    | NotifyReady
    | NotifyStopping
    | NotifyStatus
    | Log
    | Exit
)
