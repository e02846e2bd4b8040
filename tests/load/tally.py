"""Counting: who adds up what happens, until a report is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.load.answers import Answer
from tests.load.report import MOST_LISTED, Closing, Ending, Failure, Outcome, Phase, Report, Server
from tests.load.requests import Request

_SHARES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}


@dataclass(slots=True)
class _Phase:
    requests: int = 0
    failed: int = 0
    stall: float = 0.0
    stall_at: float = 0.0
    stall_kind: str = ""
    stall_pid: str = ""


@dataclass(slots=True)
class _Server:
    first: float
    last: float
    requests: int = 0


class Tally:
    """Times are those of the client's clock; the report's are since `began`."""

    def __init__(self, began: float) -> None:
        self.phase = ""
        self.opened = 0
        self._began = began
        self._requests: Counter[Outcome] = Counter()
        self._kinds: Counter[str] = Counter()
        self._endings: Counter[Ending] = Counter()
        self._failures: list[Failure] = []
        self._closings: list[Closing] = []
        self._latencies: list[float] = []
        self._phases: dict[str, _Phase] = {}
        self._served: dict[tuple[str, str, str], _Server] = {}
        self._lag = 0.0

    @property
    def finished(self) -> int:
        """Requests that have ended in some way."""
        return self._requests.total()

    @property
    def closed(self) -> int:
        """Connections that the server ended."""
        return self._endings.total()

    def counts(self, now: float, *, settled: float) -> dict[str, float]:
        """What `process.Counts` has."""
        return {
            "at": now - self._began,
            "finished": self.finished,
            "failed": self.finished - self._requests[Outcome.OK],
            "closed": self.closed,
            "settled": settled - self._began,
        }

    def answered(self, request: Request, answer: Answer, now: float) -> None:
        self._requests[Outcome.OK] += 1
        self._kinds[request.kind] += 1
        self._latencies.append(now - request.due - request.own)
        phase = self._phase_of(request)
        pid = answer.fields.get("x-pid", "")
        stall = now - request.begun - request.own
        if stall > phase.stall:
            phase.stall, phase.stall_at = stall, now - self._began
            phase.stall_kind, phase.stall_pid = request.kind, pid
        who = (answer.fields.get("x-release", ""), answer.fields.get("x-slot", ""), pid)
        server = self._served.get(who)
        if server is None:
            server = self._served[who] = _Server(first=now - self._began, last=0.0)
        server.requests += 1
        server.last = now - self._began

    def failure(
        self, request: Request, outcome: Outcome, now: float, *, port: int, pid: str, text: str
    ) -> None:
        self._requests[outcome] += 1
        self._phase_of(request).failed += 1
        if len(self._failures) < MOST_LISTED:
            at = now - self._began
            self._failures.append(Failure(at, request.phase, request.kind, outcome, port, pid, text))

    def closing(self, ending: Ending, now: float, *, reset: bool, port: int, pid: str) -> None:
        self._endings[ending] += 1
        if len(self._closings) < MOST_LISTED:
            self._closings.append(Closing(now - self._began, self.phase, ending, reset, port, pid))

    def _phase_of(self, request: Request) -> _Phase:
        """The phase of a request that has just ended, which makes it one more."""
        phase = self._phases.setdefault(request.phase, _Phase())
        phase.requests += 1
        self._lag = max(self._lag, request.begun - request.due)
        return phase

    def report(self, now: float) -> Report:
        latencies = sorted(self._latencies) or [0.0]
        return Report(
            seconds=now - self._began,
            requests={str(outcome): count for outcome, count in self._requests.items()},
            kinds=dict(self._kinds),
            opened=self.opened,
            endings={str(ending): count for ending, count in self._endings.items()},
            failures=self._failures,
            closings=self._closings,
            latency={name: latencies[int((len(latencies) - 1) * share)] for name, share in _SHARES.items()},
            phases={
                name: Phase(
                    phase.requests,
                    phase.failed,
                    phase.stall,
                    phase.stall_at,
                    phase.stall_kind,
                    phase.stall_pid,
                )
                for name, phase in self._phases.items()
            },
            served=[
                Server(*who, requests=server.requests, first=server.first, last=server.last)
                for who, server in self._served.items()
            ],
            lag=self._lag,
        )
