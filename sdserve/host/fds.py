"""Descriptors with one owner each.

An `Fd` owns; whoever holds it closes it, or gives it away with `steal`. Elsewhere a parameter's
name says what happens to a plain descriptor: `borrowed` stays the caller's, `taken` changes hands.
Everything here is close-on-exec from its first moment (PEP 446); what must pass through an exec is
named there.
"""

from __future__ import annotations

import os
from types import TracebackType


class Fd:
    """The owner of one descriptor."""

    __slots__ = ("_number",)

    def __init__(self, taken: int) -> None:
        """Take over `taken`, which is made close-on-exec."""
        os.set_inheritable(taken, False)
        self._number = taken

    def __repr__(self) -> str:
        return f"Fd({self._number})" if self._number >= 0 else "Fd(closed)"

    def __enter__(self) -> Fd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The number, borrowed. ValueError after `close` or `steal`."""
        if self._number < 0:
            raise ValueError("this descriptor is closed or was given away")
        return self._number

    def steal(self) -> int:
        """The number, which the caller owns from now on."""
        number = self.fileno()
        self._number = -1
        return number

    def dup(self) -> Fd:
        """A second descriptor of the same open file, with its own owner."""
        return Fd(os.dup(self.fileno()))

    def close(self) -> None:
        """Close it, once; closing again does nothing."""
        if self._number >= 0:
            os.close(self.steal())


def open_standard_descriptors() -> None:
    """Open /dev/null for each of the descriptors 0, 1 and 2 that is closed, for our children as well.

    To be called before anything else is opened: a socket that got one of these numbers would be taken for
    standard input or output, here, by libuv, and by whatever the application starts.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
