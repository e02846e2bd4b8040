"""The client as its own process, from the side of the test.

with Load(("127.0.0.1", 8000)) as load:
    load.wait_for_requests(1000)
    load.mark("reload")
    ...
    report = load.stop()
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.load.client import Address
from tests.load.plan import Plan
from tests.load.report import Report

_ROOT = Path(__file__).parents[2]
_ANSWER_SECONDS = 40.0
"""For one answer of the client's; after `stop` it may wait as long as its plan's patience. Reached only when
a test fails."""
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Counts:
    """So far."""

    at: float
    """Seconds since the load began."""
    finished: int
    failed: int
    closed: int
    settled: float
    """Seconds since the load began: what was begun before has ended."""


class LoadError(AssertionError):
    """The client did not do what it was told; the message has what it wrote to standard error."""


class Load:
    """Load on a server, from the begin of a block until `stop`. The process ends with the block."""

    def __init__(
        self,
        address: Address,
        plan: Plan | None = None,
        *,
        phase: str = "control",
        inside: Sequence[str] = (),
    ) -> None:
        """`inside` goes before the command: what puts the process where it can reach the address."""
        self._phase = phase
        arguments = [(plan or Plan()).to_json(), address[0], str(address[1])]
        self._command = [*inside, sys.executable, "-m", "tests.load", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Load:
        # Standard error is inherited: what goes wrong in there belongs to the output of the test.
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        try:
            self._tell(f"start {self._phase}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def mark(self, phase: str) -> Counts:
        """Begin another phase; return what was counted before."""
        return Counts(**json.loads(self._tell(f"mark {phase}")))

    def look(self) -> Counts:
        return Counts(**json.loads(self._tell("look")))

    def wait_for_requests(self, count: int) -> None:
        """Return when so many more have ended, in whatever way: a stretch of load."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        goal = self.look().finished + count
        while (counts := self.look()).finished < goal:
            if time.monotonic() > deadline:
                raise LoadError(f"not {goal} requests after {_ANSWER_SECONDS:g} s: {counts}")
            time.sleep(_LOOK_SECONDS)

    def wait_until_settled(self) -> None:
        """Return when all that is under way now has ended: nobody waits any more for what was before."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        moment = self.look().at
        while (counts := self.look()).settled < moment:
            if time.monotonic() > deadline:
                raise LoadError(f"not settled after {_ANSWER_SECONDS:g} s: {counts}")
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> Report:
        """Send no more, wait for all answers, and return the report."""
        return Report.from_json(self._tell("stop").decode())

    def _tell(self, command: str) -> bytes:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, as reading will tell
            self._process.stdin.write(f"{command}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([self._process.stdout], [], [], _ANSWER_SECONDS)[0]:
                raise LoadError(f"no answer to {command!r} within {_ANSWER_SECONDS:g} s")
            piece = self._process.stdout.read(1 << 20)
            if not piece:
                raise LoadError(f"the client has ended with status {self._process.wait()}, at {command!r}")
            answer += piece
        return answer
