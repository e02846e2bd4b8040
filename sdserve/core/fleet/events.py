"""What happened, told to the fleet: in the past tense, each naming the generation and the worker it is about.

An answer never means "the current generation": it carries the identity of the question,
so that one which comes late cannot be taken for another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdserve.core.fleet.options import FleetOptions


@dataclass(frozen=True, slots=True)
class Started:
    """The supervisor runs; its first generation is to be opened."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The answer to `ReplaceProgram`: another program goes on with this fleet, and it tells this."""


@dataclass(frozen=True, slots=True)
class GenerationPrepared:
    """The answer to `PrepareGeneration`: the new configuration is sound, and `options` is our part of it."""

    generation: int
    options: FleetOptions
    remark: str = ""
    """What whoever asked should know although it worked, as what only a restart can change."""
    replace_program: bool = False
    """Another program than this one is to go on with the fleet before the generation is opened."""


@dataclass(frozen=True, slots=True)
class GenerationRefused:
    """The other answer to `PrepareGeneration`: there can be no such generation, and why."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProgramNotReplaced:
    """The other answer to `ReplaceProgram`: this program goes on as if nothing had happened, and why."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ZygoteReady:
    """The zygote can fork workers."""

    generation: int


@dataclass(frozen=True, slots=True)
class ZygoteNotStarted:
    """The other answer to `OpenGeneration`: there is no zygote, and why. No `ZygoteExited` follows."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ZygoteFailed:
    """The zygote cannot fork workers, by its own word or as found out; `reason` is for the operator.

    It still has to go: `ZygoteExited` follows.
    """

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ZygoteExited:
    """The zygote is gone. `status` as of `os.waitstatus_to_exitcode()`: negative is a signal."""

    generation: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerForked:
    """The answer to `Fork`: the worker exists."""

    generation: int
    serial: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkFailed:
    """The other answer to `Fork`: there is no worker, and why."""

    generation: int
    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker can answer requests. It takes no connection before `Serve`: who boots can be killed."""

    generation: int
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailed:
    """The worker cannot serve, by its own word; its exit follows."""

    generation: int
    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class RecycleAsked:
    """The worker wants to be replaced, and serves until it is."""

    generation: int
    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerStalled:
    """A ready worker's loop has not turned for so long (`stall_timeout` or more)."""

    generation: int
    serial: int
    seconds: float
    busy: bool
    """Whether it burns CPU time; else it is blocked."""


@dataclass(frozen=True, slots=True)
class WorkerRecovered:
    """The loop of a worker that was said to have stalled turns again."""

    generation: int
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerExited:
    """The worker is gone. `status` as of `os.waitstatus_to_exitcode()`: negative is a signal.

    Told after the worker's `WorkerForked`: an exit of a process not known yet is held back by the teller.
    """

    generation: int
    serial: int
    status: int
    oom: bool = False
    """The kernel has killed somebody of the service because memory ran out, and this may be who."""


@dataclass(frozen=True, slots=True)
class ReloadAsked:
    """Somebody wants the configuration and the application read anew."""

    token: int
    """Whom to `Reply` to; 0 is nobody."""
    upgrade: bool = False
    """And the supervisor's own program, whether that seems to have changed or not."""


@dataclass(frozen=True, slots=True)
class ScaleAsked:
    """Somebody wants so many workers, from now until the next reload."""

    token: int
    """Whom to `Reply` to; 0 is nobody."""
    count: int


@dataclass(frozen=True, slots=True)
class ScaleChanged:
    """Somebody wants so many workers more, or fewer if negative."""

    by: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the service to end; asked a second time they mean at once."""


@dataclass(frozen=True, slots=True)
class WentIdle:
    """For so long, `idle_exit` or more, there has been no connection. Told again as long as that is so."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A deadline may have passed; `queries.next_deadline` says when to tell this."""


WorkerEvent = (
    WorkerForked
    | ForkFailed
    | WorkerReady
    | WorkerFailed
    | RecycleAsked
    | WorkerStalled
    | WorkerRecovered
    | WorkerExited
)
ZygoteEvent = (
    GenerationPrepared
    | GenerationRefused
    | ProgramNotReplaced
    | ZygoteReady
    | ZygoteNotStarted
    | ZygoteFailed
    | ZygoteExited
)
FleetEvent = Started | Resumed | ReloadAsked | ScaleAsked | ScaleChanged | StopAsked | WentIdle | TimePassed
Event = FleetEvent | ZygoteEvent | WorkerEvent
