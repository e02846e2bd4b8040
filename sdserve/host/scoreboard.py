"""The scoreboard: what every worker is doing, in memory that the supervisor and the workers share.

One memfd of rows, one row a worker, a row of 8-byte words. A row has a single writer, the worker
that it was given to, so there are no locks: an aligned word is read and written at once on every
64-bit machine. The supervisor clears a row before it is given away and reads it at any time. Nobody
asks a worker by message how it is.

The hot path holds `row.words` and counts with `words[REQUESTS] += 1`.
"""

from __future__ import annotations

import os

from sdserve.host import memfd
from sdserve.host.fds import Fd

WORDS = 32
"""Words in a row: 256 bytes, so two workers never share a cache line. Those without a name are spare."""
WORD = 8

# Indices of the words in a row.
STATE = 0
GENERATION = 1
SERIAL = 2
SLOT = 3
PID = 4
HEARTBEAT_NS = 5  # when the worker's loop last turned, CLOCK_MONOTONIC
CONNECTIONS = 6  # open now
IN_FLIGHT = 7  # requests being answered now
ACCEPTED = 8  # connections since the worker's birth
REQUESTS = 9  # answered since its birth
ERRORS = 10  # of these, answered by a failure of the application
ADOPTED = 11  # connections that came from other workers; ACCEPTED counts them as well
HANDED_OVER = 12  # connections that went to other workers

# Values of STATE.
FREE = 0
BOOTING = 1
READY = 2
DRAINING = 3


class ScoreboardRow:
    """One worker's row. `words` are its unsigned 64-bit words, indexed by the constants above."""

    __slots__ = ("words",)

    def __init__(self, words: memoryview) -> None:
        self.words = words

    def clear(self) -> None:
        """Back to zero. Only while the row belongs to no worker."""
        for index in range(WORDS):
            self.words[index] = 0

    def begin(self, *, generation: int, serial: int, slot: int) -> None:
        """The first thing a worker writes into its row: who it is."""
        words = self.words
        words[GENERATION], words[SERIAL], words[SLOT] = generation, serial, slot
        words[PID] = os.getpid()
        words[STATE] = BOOTING


class Scoreboard:
    """All rows; the supervisor makes it with `create`, a zygote adopts it for its workers."""

    def __init__(self, taken: Fd) -> None:
        """Map the memfd `taken`, which this object owns from now on."""
        self.memory = taken
        """The memfd, to be lent to whoever sends it on."""
        self._words = memoryview(memfd.share(taken.fileno())).cast("Q")
        self._rows = len(self._words) // WORDS

    @classmethod
    def create(cls, rows: int) -> Scoreboard:
        """A new scoreboard of `rows` free rows."""
        return cls(memfd.create("sdserve-scoreboard", rows * WORDS * WORD))

    def __len__(self) -> int:
        return self._rows

    def row(self, index: int) -> ScoreboardRow:
        """Row number `index`, from 0. IndexError where there is none."""
        if not 0 <= index < self._rows:
            raise IndexError(f"the scoreboard has {self._rows} rows, there is no row {index}")
        return ScoreboardRow(self._words[index * WORDS : (index + 1) * WORDS])
