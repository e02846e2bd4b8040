"""Signals as something to read: handlers do nothing, the loop acts.

The interpreter's C handler writes each signal's number into a non-blocking socket
(signal.set_wakeup_fd); the Python handler, which has to exist for that, does nothing. So nothing
runs between two instructions of somebody else, and no signal is lost: they are taken before the
first child exists.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Collection, Iterable
from types import FrameType

_MOST = 4096  # bytes read at once; how many are waiting does not matter, only which


class Signals:
    """The owner of a process's signal handling while it exists. Main thread only."""

    def __init__(
        self, signums: Iterable[signal.Signals], *, keep_ignored: Collection[signal.Signals] = ()
    ) -> None:
        """Take `signums` over from whoever handled them, but those of `keep_ignored` only if somebody did."""
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        # A full socket loses nothing: it holds every signal that `read` would report.
        self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._before = {
            signum: signal.signal(signum, _do_nothing)
            for signum in signums
            if signum not in keep_ignored or signal.getsignal(signum) is not signal.SIG_IGN
        }

    def fileno(self) -> int:
        """What becomes readable when a signal has come; borrowed."""
        return self._receiver.fileno()

    def read(self) -> set[int]:
        """The signals that came since the last call, each once however often it came."""
        try:
            return set(self._receiver.recv(_MOST))
        except BlockingIOError:
            return set()

    def close(self) -> None:
        """Give the signals back to whoever handled them before."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._receiver.close()
        self._sender.close()


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    pass
