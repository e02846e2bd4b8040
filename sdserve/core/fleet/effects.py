"""What is to be done: orders of the fleet, carried out in their order by `supervisor.perform`.

An order that cannot be carried out is answered by an event; none of them raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class PrepareGeneration:
    """Read the configuration anew and resolve what it names.

    Answered by `GenerationPrepared` or `GenerationRefused`, unless `DropGeneration` comes before. Not given
    for the first generation, whose configuration the fleet begins with.
    """

    generation: int
    upgrade: bool = False
    """Have the program replaced in any case; else only if it is another one by now."""


@dataclass(frozen=True, slots=True)
class ReplaceProgram:
    """Have the program that has prepared this generation go on in place of this one, see execve(2).

    To be carried out when all other orders are, and everything that has happened has been told. Answered
    by `Resumed`, which the other program tells, or by `ProgramNotReplaced`, unless `DropGeneration` comes
    before.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class OpenGeneration:
    """Start a zygote for this generation; the same one again, of what was prepared, when its zygote died.

    Answered by `ZygoteNotStarted`, or by `ZygoteReady` or `ZygoteFailed` and, in the end, `ZygoteExited`.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class CloseGeneration:
    """Let the generation's zygote go (close its channel). `ZygoteExited` follows."""

    generation: int


@dataclass(frozen=True, slots=True)
class DropGeneration:
    """Forget what was prepared for the generation: nobody of it is left, and nobody of it will come.

    It may be given while the answer to `PrepareGeneration` is awaited; one that comes all the same is
    followed by another of these.
    """

    generation: int
    heir: int = 0
    """The generation that gets the connections which wait for this one; 0: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Ask the zygote for a worker. Answered by `WorkerForked` or `ForkFailed`, never if the zygote dies."""

    generation: int
    serial: int
    slot: int
    """1 to N; the successor of a worker gets its slot."""


@dataclass(frozen=True, slots=True)
class Serve:
    """Have a worker that is ready begin to take connections: until it is ordered it takes none."""

    generation: int
    serial: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask the worker to finish what it has and exit. Given again when the heir is another one."""

    generation: int
    serial: int
    heir: int = 0
    """The generation whose workers take its connections over; 0: nobody does."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Have the worker write the stacks of its threads to the log."""

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
    """Tell the service manager READY=1: once the fleet is up, and again after each `NotifyReloading`.

    A stop that is asked for between the two has `NotifyStopping` in place of it.
    """


@dataclass(frozen=True, slots=True)
class NotifyReloading:
    """Tell the service manager RELOADING=1 and MONOTONIC_USEC, see sd_notify(3)."""


@dataclass(frozen=True, slots=True)
class NotifyStopping:
    """Tell the service manager STOPPING=1. Given once."""


@dataclass(frozen=True, slots=True)
class NotifyStatus:
    """Tell the service manager STATUS=text. Given when the text changes."""

    text: str


@dataclass(frozen=True, slots=True)
class ExtendTimeout:
    """Tell the service manager EXTEND_TIMEOUT_USEC: there was progress, and the next may take so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """Tell whoever asked with this token what came of it. Each token but 0 gets exactly one."""

    token: int
    ok: bool
    text: str
    """The first line is for people in a hurry."""


@dataclass(frozen=True, slots=True)
class Log:
    """Say this to the operator."""

    level: Level
    text: str
    message_id: str = ""
    """One of `sdserve.core.catalog`, if the journal can explain it."""


@dataclass(frozen=True, slots=True)
class Exit:
    """End the supervisor with this exit status. Given once, last, and only when no process is left."""

    code: int


Effect = (
    PrepareGeneration
    | ReplaceProgram
    | OpenGeneration
    | CloseGeneration
    | DropGeneration
    | Fork
    | Serve
    | Drain
    | Dump
    | Kill
    | KillZygote
    | NotifyReady
    | NotifyReloading
    | NotifyStopping
    | NotifyStatus
    | ExtendTimeout
    | Reply
    | Log
    | Exit
)
