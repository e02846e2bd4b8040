"""What a client is to do: how much, of what, over which connections."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

GET, POST, SLOW, STREAM, PAIR, NEW, IDLE = "get", "post", "slow", "stream", "pair", "new", "idle"
"""Kinds of requests. `pair`: two in one write; `new`: on a connection of its own; `idle`: over a connection
that is idle but for one such request now and then, which comes on top of the rate. All others share
connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    rate: float = 300.0
    """Requests per second; those of kind `idle` are not in it. 0: none but theirs, and the first on each
    shared connection."""
    weights: dict[str, int] = field(
        default_factory=lambda: {GET: 54, NEW: 20, POST: 6, SLOW: 4, STREAM: 4, PAIR: 6}
    )
    """By kind: turns in a hundred. A pair takes one and is two requests."""
    keep: bool = True
    """False: each request has a connection of its own, and there are no others."""
    shared: int = 16
    """Connections that the kinds share at first; more are opened when all are in use, and then kept."""
    idle: int = 20
    """Connections of kind `idle`."""
    idle_seconds: float = 3.0
    """From one request on each of them to the next."""
    body_bytes: int = 64 * 1024
    slow_ms: tuple[int, int] = (50, 300)
    pieces: int = 8
    pieces_ms: int = 5
    """What the application pauses before each piece of a stream."""
    patience: float = 10.0
    """Seconds after which a request has timed out."""
    seed: int = 1

    def turns(self) -> Iterator[str]:
        """Yield kinds for ever, mixed by chance, the same with each run."""
        random = Random(self.seed)
        kinds = [kind for kind, weight in self.weights.items() for _ in range(weight)]
        while True:
            random.shuffle(kinds)
            yield from kinds

    @property
    def interval(self) -> float:
        """Seconds from one turn to the next."""
        turns = sum(self.weights.values())
        return (turns + self.weights.get(PAIR, 0)) / turns / self.rate

    def on_new_connections(self) -> Plan:
        """Return the same without connections that are kept, hence without pairs."""
        weights = {kind: weight for kind, weight in self.weights.items() if kind != PAIR}
        return dataclasses.replace(self, weights=weights, keep=False, shared=0, idle=0)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        given = json.loads(text)
        return cls(**{**given, "slow_ms": tuple(given["slow_ms"])})


THREADED = Plan(weights={GET: 56, NEW: 20, POST: 6, SLOW: 2, STREAM: 4, PAIR: 6}, slow_ms=(50, 150))
"""For an application on a few threads: so little that pauses that some of them are always free."""

BLOCKING = Plan(weights={GET: 56, NEW: 20, POST: 6, STREAM: 6, PAIR: 6}, pieces_ms=0)
"""For an application that nothing else can be asked while it works on a request: nothing that pauses."""
