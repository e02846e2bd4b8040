"""What Linux offers about processes and Python does not: prctl(2), and reaping without waiting."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Iterator

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37

_GENERATIONS = 1000
"""A bound on what forks faster than it is killed."""

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Make this process the parent of its descendants whose own parent has exited.

    OSError when the kernel does not do it.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if not is_subreaper():  # a sandbox may answer calls it does not know with success
        raise OSError(errno.ENOSYS, "the kernel does not support PR_SET_CHILD_SUBREAPER")


def is_subreaper() -> bool:
    """Whether this process adopts its orphaned descendants."""
    answer = ctypes.c_int()
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(answer))
    return bool(answer.value)


def set_parent_death_signal(signum: signal.Signals) -> None:
    """Have `signum` sent to this process when its parent dies.

    A change of parent clears nothing and signals nothing if it came before, so the caller has to
    compare os.getppid() afterwards (prctl(2), PR_SET_PDEATHSIG).
    """
    _prctl(_PR_SET_PDEATHSIG, int(signum))


def is_child(pid: int) -> bool:
    """Whether `pid` is a child of this process, running or not yet reaped."""
    if pid <= 0:  # which waitid(2) and kill(2) take for groups
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_child(pid: int) -> None:
    """Send SIGKILL to `pid`, unless it has been reaped and the number may be a stranger's by now."""
    if is_child(pid):
        os.kill(pid, signal.SIGKILL)


def end_children() -> None:
    """Send SIGKILL to every child, and to those that become ours when it dies; return when all are reaped.

    For the very end. Descendants of a subreaper cannot escape this, unless they have become another user's.
    """
    children = f"/proc/self/task/{os.getpid()}/children"
    for _ in range(_GENERATIONS):
        try:
            with open(children, "rb") as file:  # without a codec, whose module may be gone by now
                pids = [int(pid) for pid in file.read().split()]
        except OSError:
            return  # a kernel without CONFIG_PROC_CHILDREN
        killed = [pid for pid in pids if _kill(pid)]
        if not killed:
            return
        for pid in killed:
            os.waitpid(pid, 0)


def _kill(pid: int) -> bool:
    """Whether a child, which has not been reaped, could be sent SIGKILL."""
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        return False  # it has changed its user, as sudo and ping do
    return True


def reap() -> Iterator[tuple[int, int]]:
    """Collect every child that has exited, without waiting: (pid, exit code; a signal is negative)."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
