"""The worker's coarse clock: good enough for deadlines, and the hot path never asks for the time."""

from __future__ import annotations

import time
from email.utils import formatdate

from sdserve.core.http.response import Standing, make_standing

TICK = 1.0
"""Seconds between two ticks. An idle worker wakes this often and no more."""


class Clock:
    """What time it was at the last tick, and what follows from it for every response."""

    __slots__ = ("_server_header", "now", "standing")

    def __init__(self, server_header: str) -> None:
        self._server_header = server_header
        self.now: float
        """Seconds, monotonic, up to `TICK` old."""
        self.standing: Standing
        self.tick()

    def tick(self) -> None:
        """Read the time. The Date is made from UTC and English names, whatever $TZ and the locale say."""
        self.now = time.monotonic()
        self.standing = make_standing(formatdate(usegmt=True), self._server_header)
