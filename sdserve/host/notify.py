"""Telling the service manager how it goes: sd_notify(3), without waiting for it.

Without one, that is without NOTIFY_SOCKET in the environment, nothing happens. libsystemd's own function
waits while the manager has too much to read; here what finds no room is kept until there is some.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from sdserve.host.fds import Fd

READY = "READY=1"
"""The service answers requests, or has taken up its new configuration."""
STOPPING = "STOPPING=1"
"""The service ends now. Nothing undoes this, and the manager's stop time-out begins."""

_VARIABLE = "NOTIFY_SOCKET"
_MOST_KEPT = 1000
"""Messages. Those that a later one outdates are not kept, and so this is never reached in practice."""
_OUTDATED = ("STATUS=", "EXTEND_TIMEOUT_USEC=")
"""Only the last one of a kind matters."""
_OF_ONE = {errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM, errno.EMSGSIZE}
"""What is wrong with one message, and not with its receiver: too many descriptors on their way (unix(7))."""


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


WATCHDOG = "WATCHDOG=1"
"""The service does what it is there for."""


KEPT = "sdserve-"
"""How the names of descriptors begin that the service manager keeps for us; no listener may be called so."""
LONGEST_NAME = 255
"""Characters of a descriptor's name; what is kept with a longer one comes back without a name."""


def store(name: str) -> str:
    """Keep the descriptors that come along, under `name`, also if their other ends hang up.

    They come back by LISTEN_FDS when the service is started again: FDSTORE=1 and FDPOLL=0 of sd_notify(3).
    """
    return f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}"


def unstore(name: str) -> str:
    """Let go of all descriptors that were kept under `name`."""
    return f"FDSTOREREMOVE=1\nFDNAME={name}"


def store_size() -> int:
    """How many descriptors the manager keeps for us: FDSTORE, of sd_listen_fds(3); 0 if it does not say."""
    text = os.environ.get("FDSTORE", "")
    return int(text) if text.isascii() and text.isdigit() and os.environ.get(_VARIABLE) else 0


def watchdog_interval() -> float:
    """Seconds after which the manager gives up on us without `WATCHDOG`: sd_watchdog_enabled(3); 0: never."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    is_ours = pid in (None, str(os.getpid())) and bool(os.environ.get(_VARIABLE))
    return int(text) / 1e6 if is_ours and text.isascii() and text.isdigit() else 0.0


@dataclass(frozen=True, slots=True)
class _Kept:
    text: str
    descriptors: tuple[Fd, ...] = ()
    """Copies, ours."""

    def close(self) -> None:
        for descriptor in self.descriptors:
            descriptor.close()


class ServiceManager:
    """The way to it."""

    __slots__ = ("_kept", "_socket")

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._kept: deque[_Kept] = deque()

    @property
    def is_behind(self) -> bool:
        """Whether something waits until the descriptor of `fileno` is writable."""
        return bool(self._kept)

    def fileno(self) -> int:
        """Borrowed; -1 before the first message."""
        return -1 if self._socket is None else self._socket.fileno()

    def tell(self, message: str, borrowed: Iterable[int] = ()) -> None:
        """Send `message` and copies of the descriptors in `borrowed`, or keep them until there is room.

        OSError when there is nobody to take it.
        """
        for kind in _OUTDATED:
            if message.startswith(kind):
                self._kept = deque(kept for kept in self._kept if not kept.text.startswith(kind))
        if len(self._kept) == _MOST_KEPT:
            self._kept.popleft().close()
        self._kept.append(_Kept(message, tuple(Fd(os.dup(number)) for number in borrowed)))
        self.flush()

    def flush(self) -> None:
        """Send what was kept, as far as there is room. OSError when there is nobody to take it."""
        try:
            while self._kept and self._has_sent(self._kept[0]):
                self._kept.popleft().close()
        except OSError as error:
            if error.errno in _OF_ONE:
                self._kept.popleft().close()
            else:
                self._forget()
            raise

    def settle(self, timeout: float) -> None:
        """Wait until the manager has acted on all that it was told, but for at most `timeout` seconds.

        For the very end, when nobody is left whom that keeps waiting; BARRIER=1 of sd_notify(3).
        """
        with suppress(OSError):
            read, write = map(Fd, os.pipe())
            with read, write:
                self.tell("BARRIER=1", [write.fileno()])
                write.close()
                deadline = time.monotonic() + timeout
                while self.is_behind and self._poll(self.fileno(), select.POLLOUT, deadline):
                    self.flush()
                self._poll(read.fileno(), select.POLLIN, deadline)

    @staticmethod
    def _poll(descriptor: int, interest: int, deadline: float) -> bool:
        poll = select.poll()
        poll.register(descriptor, interest)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def _forget(self) -> None:
        for kept in self._kept:
            kept.close()
        self._kept.clear()

    def _has_sent(self, message: _Kept) -> bool:
        try:
            self._send(message)
        except BlockingIOError:
            return False
        except ConnectionRefusedError:
            self._hang_up()  # it has another socket by now
            self._send(message)
        return True

    def _send(self, message: _Kept) -> None:
        if (target := self._connected()) is not None:
            data = message.text.encode("utf-8", "backslashreplace")
            socket.send_fds(
                target, [data], [one.fileno() for one in message.descriptors], socket.MSG_NOSIGNAL
            )

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
        self._forget()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
