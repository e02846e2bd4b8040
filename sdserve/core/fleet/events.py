"""What happened, told to the fleet: in the past tense, each naming the generation and the worker it is about.

An answer never means "the current generation": it carries the identity of the question,
so that one which comes late cannot be taken for another's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """The supervisor runs; the first generation is to be opened."""


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
    """The worker answers requests."""

    generation: int
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailed:
    """The worker cannot serve, by its own word; its exit follows."""

    generation: int
    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerDraining:
    """The worker drains of its own accord, as after a SIGTERM sent to it directly."""

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


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the service to end; asked a second time they mean at once."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A deadline may have passed; `queries.next_deadline` says when to tell this."""


WorkerEvent = WorkerForked | ForkFailed | WorkerReady | WorkerFailed | WorkerDraining | WorkerExited
ZygoteEvent = ZygoteReady | ZygoteNotStarted | ZygoteFailed | ZygoteExited
FleetEvent = Started | StopAsked | TimePassed
Event = FleetEvent | ZygoteEvent | WorkerEvent
