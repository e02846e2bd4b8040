"""What a client has seen, as plain data."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a request has ended. Each ends once."""

    OK = "ok"
    REFUSED = "refused"
    """No connection."""
    RESET = "reset"
    CLOSED = "closed"
    """The connection was closed before the first byte of the answer."""
    SHORT = "short"
    """It was closed within the answer."""
    STATUS = "status"
    """Not 200."""
    TIMEOUT = "timeout"
    WRONG = "wrong"
    """An answer that is not HTTP, not to this request, or not with the right body."""


class Ending(StrEnum):
    """How the server has ended a connection that it should have kept."""

    IDLE = "idle"
    AFTER_ANSWER = "after answer"
    """With the answer or directly after it, without a word."""
    ANNOUNCED = "announced"
    """`Connection: close`, which the client had not asked for."""
    BUSY = "busy"
    """While an answer was waited for; the requests have failed as well."""
    STRAY = "stray"
    """It sent what nobody had asked for. The client has closed it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was not answered rightly."""

    at: float
    """Seconds since the load began."""
    phase: str
    kind: str
    outcome: Outcome
    port: int
    """The client's; 0 if there was no connection."""
    pid: str
    """The process that gave the last answer on this connection, empty if none did."""
    text: str


@dataclass(frozen=True, slots=True)
class Closing:
    """A connection that the server ended."""

    at: float
    phase: str
    ending: Ending
    reset: bool
    port: int
    pid: str


@dataclass(frozen=True, slots=True)
class Server:
    """A process that has answered."""

    release: str
    slot: str
    pid: str
    requests: int
    first: float
    last: float
    """Seconds since the load began, of its first and its last answer."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time between two marks. A request belongs to the one in which it was due."""

    requests: int
    failed: int
    stall: float
    """The longest wait for a right answer beyond what the application itself took, in seconds, from when the
    request was sent. The lateness of the client itself is not in it."""
    stall_at: float
    stall_kind: str
    stall_pid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    seconds: float
    requests: dict[str, int]
    """By outcome; only those that there were."""
    kinds: dict[str, int]
    """Right answers by kind."""
    opened: int
    """Connections."""
    endings: dict[str, int]
    """By ending; only those that there were."""
    failures: list[Failure] = field(default_factory=list)
    """In order, no more than `MOST_LISTED`."""
    closings: list[Closing] = field(default_factory=list)
    latency: dict[str, float]
    """p50, p90, p99, max: seconds from when a request was due, beyond what the application itself took."""
    phases: dict[str, Phase]
    served: list[Server]
    """By the time of the first answer."""
    lag: float
    """How late the client itself was at most, in seconds."""

    @property
    def failed(self) -> int:
        return sum(self.requests.values()) - self.requests.get(Outcome.OK, 0)

    @property
    def closed(self) -> int:
        """Connections that the server ended in whatever way."""
        return sum(self.endings.values())

    def faults(self) -> str:
        """What went wrong, for people; empty if nothing did."""
        if not self.failed and not self.closed:
            return ""
        lines = [f"requests: {self.requests}, connections ended by the server: {self.endings}"]
        lines += [str(failure) for failure in self.failures[:MOST_SAID]]
        lines += [str(closing) for closing in self.closings[:MOST_SAID]]
        return "\n".join(lines)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        given: dict[str, Any] = json.loads(text)
        return cls(
            **{
                **given,
                "failures": [Failure(**each) for each in given["failures"]],
                "closings": [Closing(**each) for each in given["closings"]],
                "phases": {name: Phase(**each) for name, each in given["phases"].items()},
                "served": [Server(**each) for each in given["served"]],
            }
        )


MOST_LISTED = 2000
MOST_SAID = 15
