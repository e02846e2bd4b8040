"""The fleet as a value: what the supervisor knows about its generations, slots and workers.

Nothing here decides. The methods answer with a changed copy, none changes anything in place.
All times are seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from sdserve.core.fleet.effects import Effect
from sdserve.core.fleet.options import FleetOptions


class Phase(Enum):
    """How far the service is."""

    NEW = auto()
    BOOTING = auto()
    """Not all slots have been ready at once yet: the service manager waits for READY=1."""
    SERVING = auto()
    STOPPING = auto()
    ENDED = auto()
    """`Exit` has been ordered."""


class ZygoteState(Enum):
    """Of the zygote of a generation that the fleet knows."""

    PREPARING = auto()
    """There is none, and it is not known yet what it is to be."""
    REPLACING = auto()
    """It is known, but another program is to start it: `ReplaceProgram` was ordered."""
    ABSENT = auto()
    """To be started, or started again, from `Generation.retry_at` on."""
    OPENING = auto()
    OPEN = auto()
    FAILED = auto()
    """It said that it cannot fork; SIGKILL was ordered."""
    CLOSING = auto()
    """Let go."""
    KILLED = auto()
    """SIGKILL was ordered."""
    GONE = auto()
    """Of a generation that the fleet does not know (any more)."""


class WorkerState(Enum):
    """Of a worker that the fleet knows."""

    FORKING = auto()
    """Ordered; its zygote has not answered."""
    BOOTING = auto()
    READY = auto()
    STALLED = auto()
    """It was ready, but its loop stands still; unless that turns it will be killed."""
    FAILED = auto()
    """It said that it cannot serve; its exit is awaited."""
    DRAINING = auto()
    """It has left its slot. It may not even be born yet."""
    KILLED = auto()
    """SIGKILL was ordered. It keeps its slot, if it had one, until it is gone."""
    GONE = auto()
    """Of a worker that the fleet does not know (any more)."""


DUMP_TIME = 1.0
"""Seconds that a worker has for writing its stacks, before it is killed."""
STRAY = 0
"""In place of a slot, for a worker that nobody waits for. Slots count from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process, from the order to fork it until it is gone."""

    generation: int
    serial: int
    """Unique for as long as the supervisor lives."""
    slot: int
    """Its place of now or before; `Slot.occupant` says whether it still holds it."""
    state: WorkerState
    pid: int | None = None
    """None until its zygote has told it."""
    deadline: float | None = None
    """When the state it is in has lasted too long."""
    ready_since: float | None = None
    heir: int | None = None
    """The generation that it was told to hand its connections over to; 0: none; None: it does not drain."""
    is_dumped: bool = False
    """Whether its stacks have been asked for in the state it is in, which is done before it is killed."""
    reason: str = ""
    """Why it failed, stalled or was killed."""

    @property
    def is_unborn(self) -> bool:
        """Whether its zygote has yet to answer."""
        return self.pid is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for one worker of the current generation."""

    number: int
    occupant: int | None = None
    """The serial of the worker it belongs to."""
    successor: int | None = None
    """The serial of the worker that is to take it over once that is ready."""
    wish: str = ""
    """Why its occupant wants to be replaced, if it does."""
    wished_at: float = 0.0
    failures: int = 0
    """Workers lost in succession, none of them ready for `backoff_reset`."""
    delay: float = 0.0
    retry_at: float = 0.0
    """Not filled before; `delay` after it became vacant."""
    trouble: str = ""
    """What befell the last worker, or the last successor; empty again once one is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One resolved release and its zygote."""

    number: int
    options: FleetOptions
    """Of its own configuration; not yet while that is being prepared."""
    count: int
    """Slots that it fills when it is current: of its options, unless another number was asked for."""
    opened_for: str = "start"
    """What it was made for: `start`, `reload` or `upgrade`."""
    remark: str = ""
    """What whoever asked for it should know once it is current."""
    zygote: ZygoteState = ZygoteState.ABSENT
    deadline: float | None = None
    """When the state its zygote is in has lasted too long."""
    served: bool = False
    """Whether any worker of it has ever been ready."""
    open_since: float | None = None
    """Of this zygote, or of the last one while there is none."""
    failures: int = 0
    """Zygotes lost in succession, none of them open for `backoff_reset`."""
    delay: float = 0.0
    retry_at: float = 0.0
    """No zygote is started before; `delay` after the last one was lost."""
    trouble: str = ""
    """What befell the last zygote; empty again once one is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """A new generation on its way: on trial while it is the candidate, and then rolling."""

    generation: int
    since: float
    upgrade: bool = False
    """Somebody wants the program replaced as well."""
    tokens: tuple[int, ...] = ()
    """Of those who wait for its outcome."""
    trouble: str = ""
    """Why it has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a reload."""

    generation: int
    at: float
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A number of workers that somebody waits for."""

    token: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything the supervisor's decisions depend on. `Fleet(options=...)` waits for `Started`."""

    options: FleetOptions
    """Of the current generation."""
    phase: Phase = Phase.NEW
    generations: Mapping[int, Generation] = field(default_factory=dict)
    current: int = 0
    """The generation that fills the slots; 0 before the first."""
    candidate: int = 0
    """The generation on trial: it becomes current once one worker of it is ready. 0: none."""
    previous: int = 0
    """While a reload rolls: the generation to go back to if it fails. 0: none."""
    last_generation: int = 0
    """A number is never used again."""
    reload: Reload | None = None
    """The newest one that has not ended."""
    paused: Reload | None = None
    """One that was rolling when `reload` was asked for, until it is known what becomes of that."""
    last_reload: Outcome | None = None
    is_reloading: bool = False
    """Whether the service manager was told RELOADING=1 last."""
    scalings: tuple[Scaling, ...] = ()
    slots: Mapping[int, Slot] = field(default_factory=dict)
    workers: Mapping[int, Worker] = field(default_factory=dict)
    """By serial; a number is never used again."""
    last_serial: int = 0
    stop_by: float | None = None
    """While stopping: when everybody has to be gone."""
    exit_code: int = 0
    trouble: str = ""
    """Why it ends, if nobody asked for it."""
    status: str = ""
    """What the service manager was told last."""
    progress: tuple[int, ...] = ()
    """The farthest that the service manager was told to wait for, see `queries.progress`."""

    def with_worker(self, worker: Worker) -> Fleet:
        """Add the worker, or put it in place of what it was."""
        return replace(self, workers={**self.workers, worker.serial: worker})

    def without_worker(self, serial: int) -> Fleet:
        """Drop the worker."""
        rest = {key: worker for key, worker in self.workers.items() if key != serial}
        return replace(self, workers=rest)

    def with_slot(self, slot: Slot) -> Fleet:
        """Put the slot in place of what it was."""
        return replace(self, slots={**self.slots, slot.number: slot})

    def with_generation(self, generation: Generation) -> Fleet:
        """Add the generation, or put it in place of what it was."""
        return replace(self, generations={**self.generations, generation.number: generation})

    def without_generation(self, number: int) -> Fleet:
        """Drop the generation."""
        rest = {key: generation for key, generation in self.generations.items() if key != number}
        return replace(self, generations=rest)


Change = tuple[Fleet, tuple[Effect, ...]]
"""What every decision comes to: the fleet after it, and what is to be done."""

Move = Callable[[Fleet, Any, float], Change]
"""What an event causes: `move(fleet, event, now)`."""
