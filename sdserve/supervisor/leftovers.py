"""What a supervisor that has died has left: workers drain by themselves; who does not end in time is killed.

They are not our children. A pidfd (pidfd_open(2)) holds each of them, so that no stranger is killed who has
got its number since.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdserve.core.fleet import events
from sdserve.host import usage
from sdserve.host.fds import Fd

if TYPE_CHECKING:
    from sdserve.supervisor.house import House

_log = logging.getLogger("sdserve")

LOOK = 1.0
"""Seconds between two looks at who is left."""


@dataclass(frozen=True, slots=True)
class _Leftover:
    pid: int
    started: int
    pidfd: Fd
    deadline: float


class Leftovers:
    """Those who are left."""

    def __init__(self) -> None:
        self._left: list[_Leftover] = []
        self._last_look = 0.0

    def add(self, pid: int, started: int, deadline: float) -> None:
        """The process `pid`, if it is still the one that started at `started`; SIGKILL at `deadline`.

        One that /proc does not show (ProtectProc=, and another user namespace) is, if it is in our control
        group.
        """
        try:
            pidfd = Fd(os.pidfd_open(pid))
        except OSError:
            return
        now = usage.started(pid)
        if now == started or (not now and pid in usage.service_members()):
            self._left.append(_Leftover(pid, started, pidfd, deadline))
        else:
            pidfd.close()

    @property
    def pids(self) -> list[int]:
        """Who was left at the last look."""
        return [one.pid for one in self._left]

    def describe(self) -> list[tuple[int, int, float]]:
        """What `add` needs, JSON values."""
        return [(one.pid, one.started, one.deadline) for one in self._left]

    def close(self) -> None:
        """Look for nobody any more."""
        for one in self._left:
            one.pidfd.close()
        self._left.clear()

    def next_look(self, _: House) -> float | None:
        """When `look` has something to do."""
        return self._last_look + LOOK if self._left else None

    def look(self, _: House, now: float) -> Iterator[events.Event]:
        """Forget who has ended, and end who should have."""
        self._last_look = now
        for one in list(self._left):
            if _has_ended(one.pidfd):
                self._left.remove(one)
                one.pidfd.close()
                if not self._left:
                    _log.info("what the supervisor that died had left has ended")
            elif now >= one.deadline:
                _log.warning("process %d of the supervisor that died has not ended, killing it", one.pid)
                with suppress(OSError):
                    signal.pidfd_send_signal(one.pidfd.fileno(), signal.SIGKILL)
        return iter(())


def _has_ended(pidfd: Fd) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
