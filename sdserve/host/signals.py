"""Signals as something to read: handlers take note, the loop acts.

The Python handler puts the signal's number into a set, and nothing else runs between two instructions of
somebody else. The loop is woken up by what the interpreter's C handler writes into a non-blocking socket
(signal.set_wakeup_fd). Which signals came is not read from there: thousands of one kind, as of SIGCHLD, leave
no room for another. No signal is lost: they are taken before the first child exists.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Collection, Iterable
from contextlib import suppress
from types import FrameType

_MOST = 4096  # bytes read at once; what is left only wakes us up once more


class Signals:
    """The owner of a process's signal handling while it exists. Main thread only."""

    def __init__(
        self, signums: Iterable[signal.Signals], *, keep_ignored: Collection[signal.Signals] = ()
    ) -> None:
        """Take `signums` over from whoever handled them, but those of `keep_ignored` only if somebody did."""
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._came: set[int] = set()
        # A full socket loses nothing: it wakes us up.
        self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._before = {
            signum: signal.signal(signum, self._note)
            for signum in signums
            if signum not in keep_ignored or signal.getsignal(signum) is not signal.SIG_IGN
        }

    def fileno(self) -> int:
        """What becomes readable when a signal has come; borrowed."""
        return self._receiver.fileno()

    def read(self) -> set[int]:
        """The signals that came since the last call, each once however often it came."""
        # The bytes first: a signal that comes after this wakes us up again. The C handler sets the flag of
        # the Python handler before it writes its byte, so that has run by the time this call is over.
        with suppress(BlockingIOError):
            self._receiver.recv(_MOST)
        came, self._came = self._came, set()
        return came

    def close(self) -> None:
        """Give the signals back to whoever handled them before."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._receiver.close()
        self._sender.close()

    def _note(self, signum: int, _: FrameType | None) -> None:
        self._came.add(signum)
