"""One request of each kind: its bytes, the right answer, and what the application itself takes for it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.load.answers import Answer
from tests.load.plan import POST, SLOW, STREAM, Plan

_NOISE_BYTES = 1 << 20


@dataclass(slots=True, eq=False)
class Request:
    number: int
    kind: str
    data: bytes
    """As it goes over the wire."""
    expected: bytes
    """The body of the right answer."""
    own: float
    """Seconds that the application takes because it was asked to."""
    last: bool
    """The client closes the connection after the answer."""
    due: float
    """When the schedule wanted it sent."""
    begun: float
    """When it was, or its connection began to be made: after `due` only if the client itself was late."""
    phase: str
    over: bool = False
    """Counted, in one class."""

    def fault_of(self, answer: Answer) -> str:
        """What is wrong with an answer of status 200; empty if nothing is."""
        if (named := answer.fields.get("x-number")) != str(self.number):
            return f"the answer to request {named}, not {self.number}"
        if answer.body != self.expected:
            return f"a body of {len(answer.body)} bytes, not the expected {len(self.expected)}, or others"
        return ""


class RequestMaker:
    """Numbers requests, and makes each different from the last."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = Random(plan.seed)
        self._noise = self._random.randbytes(_NOISE_BYTES)
        self._number = 0

    def make(
        self, kind: str, *, due: float, now: float, phase: str, last: bool = False, close: bool = False
    ) -> Request:
        """`close`: it says that it is the last."""
        plan = self._plan
        self._number += 1
        number = self._number
        target, body, expected, own = f"/get?n={number}", b"", b"%d\n" % number, 0.0
        if kind == POST:
            begin = self._random.randrange(_NOISE_BYTES - plan.body_bytes)
            body = expected = self._noise[begin : begin + plan.body_bytes]
            target = f"/echo?n={number}"
        elif kind == SLOW:
            milliseconds = self._random.randint(*plan.slow_ms)
            target, own = f"/slow?n={number}&ms={milliseconds}", milliseconds / 1000
        elif kind == STREAM:
            target = f"/stream?n={number}&pieces={plan.pieces}&ms={plan.pieces_ms}"
            expected = b"".join(b"%d %d\n" % (number, piece) for piece in range(plan.pieces))
            own = plan.pieces * plan.pieces_ms / 1000
        head = f"{'POST' if body else 'GET'} {target} HTTP/1.1\r\nHost: load.test\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        if close:
            head += "Connection: close\r\n"
        return Request(
            number=number,
            kind=kind,
            data=head.encode() + b"\r\n" + body,
            expected=expected,
            own=own,
            last=last,
            due=due,
            begun=now,
            phase=phase,
        )
