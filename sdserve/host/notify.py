"""Telling the service manager how it goes: sd_notify(3), without waiting for it.

Without one, that is without NOTIFY_SOCKET in the environment, nothing happens. libsystemd's own function
waits while the manager has too much to read; here what finds no room is kept until there is some.
"""

from __future__ import annotations

import os
import socket
from collections import deque

READY = "READY=1"
"""The service answers requests, or has taken up its new configuration."""
STOPPING = "STOPPING=1"
"""The service ends now. Nothing undoes this, and the manager's stop time-out begins."""

_VARIABLE = "NOTIFY_SOCKET"
_MOST_KEPT = 1000
"""Messages. Those that a later one outdates are not kept, and so this is never reached in practice."""
_OUTDATED = ("STATUS=", "EXTEND_TIMEOUT_USEC=")
"""Only the last one of a kind matters."""


def status(text: str) -> str:
    """One line for `systemctl status`. A line end would start another assignment."""
    return "STATUS=" + " ".join(text.split())


def reloading(now_ns: int) -> str:
    """The service changes what it is; `READY` follows, or `STOPPING`. `now_ns`: CLOCK_MONOTONIC.

    The time tells a manager which of its own requests this is the answer to: sd_notify(3), MONOTONIC_USEC.
    """
    return f"RELOADING=1\nMONOTONIC_USEC={now_ns // 1000}"


def extend_timeout(seconds: float) -> str:
    """It is not done yet but goes on: the manager's time-out does not come before so long from now."""
    return f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}"


class ServiceManager:
    """The way to it."""

    __slots__ = ("_kept", "_socket")

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._kept: deque[str] = deque(maxlen=_MOST_KEPT)

    @property
    def is_behind(self) -> bool:
        """Whether something waits until the descriptor of `fileno` is writable."""
        return bool(self._kept)

    def fileno(self) -> int:
        """Borrowed; -1 before the first message."""
        return -1 if self._socket is None else self._socket.fileno()

    def tell(self, message: str) -> None:
        """Send `message`, or keep it until there is room. OSError when there is nobody to take it."""
        for kind in _OUTDATED:
            if message.startswith(kind):
                self._kept = deque(
                    (kept for kept in self._kept if not kept.startswith(kind)), maxlen=_MOST_KEPT
                )
        self._kept.append(message)
        self.flush()

    def flush(self) -> None:
        """Send what was kept, as far as there is room. OSError when there is nobody to take it."""
        try:
            while self._kept and self._has_sent(self._kept[0]):
                self._kept.popleft()
        except OSError:
            self._kept.clear()
            raise

    def _has_sent(self, message: str) -> bool:
        data = message.encode("utf-8", "backslashreplace")
        try:
            if (target := self._connected()) is not None:
                target.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except ConnectionRefusedError:
            self.close()  # it has another socket by now
            if (target := self._connected()) is not None:
                target.send(data, socket.MSG_NOSIGNAL)
        return True

    def _connected(self) -> socket.socket | None:
        address = os.environ.get(_VARIABLE)
        if self._socket is None and address:
            taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                taken.setblocking(False)
                taken.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            except OSError:
                taken.close()
                raise
            self._socket = taken
        return self._socket

    def close(self) -> None:
        """Tell nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
