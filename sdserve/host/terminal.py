"""The terminal that this process was started from, and whether it is still there."""

from __future__ import annotations

import os


class Terminal:
    """The controlling terminal at the time this object was made, if there was any."""

    __slots__ = ("_was_there",)

    def __init__(self) -> None:
        self._was_there = _is_there()

    def is_gone(self) -> bool:
        """Whether there was one and it has hung up since."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:  # ENXIO: tty(4)
        return False
    return True
