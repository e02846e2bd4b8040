"""What the kernel counts about processes and about our control group."""

from __future__ import annotations

import os
from pathlib import Path

from sdserve.host.cpus import CGROUPS, OWN_CGROUP

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _STARTTIME = 11, 12, 19  # proc_pid_stat(5), fields 14, 15 and 22, counted from the third


def cpu_seconds(pid: int) -> float:
    """The CPU time that all threads of process `pid` have used; 0 if there is no such process."""
    fields = _status(pid)
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS if fields else 0.0


def started(pid: int) -> int:
    """When process `pid` started, in clock ticks since the machine did; 0 if there is no such process."""
    fields = _status(pid)
    return int(fields[_STARTTIME]) if fields else 0


def _status(pid: int) -> list[bytes]:
    """The fields of proc_pid_stat(5) from the third on; none if there is no such process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    # The name may have spaces and parentheses.
    return status.rpartition(b")")[2].split()


def service_members(cgroups: Path = CGROUPS, own_cgroup: Path = OWN_CGROUP) -> set[int]:
    """The processes in the control group of the service that we are, ourselves included: cgroups(7).

    Under ProtectProc= it shows also those that /proc does not. Empty if we are not in a group of a service's
    own, or if that cannot be read.
    """
    try:
        lines = own_cgroup.read_text().splitlines()
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "name=systemd") and path.endswith(".service"):
                top = cgroups / "systemd" if controllers else cgroups
                members = (top / path.lstrip("/") / "cgroup.procs").read_text().split()
                if str(os.getpid()) in members:
                    return set(map(int, members))
    except OSError:
        pass
    return set()


def oom_kills(cgroups: Path = CGROUPS, own_cgroup: Path = OWN_CGROUP) -> int:
    """How many processes of our control group, and of those below, the kernel has killed for want of memory.

    `oom_kill` of memory.events (the kernel's cgroup-v2.rst), or of memory.oom_control of the first version;
    0 where the kernel does not count.
    """
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        _, controllers, path = line.split(":", 2)
        place = Path(path.removesuffix(" (deleted)").lstrip("/"))
        if ".." in place.parts:  # we are outside of our cgroup namespace's root, and cannot see our own files
            continue
        if not controllers:
            return _counter(cgroups / place / "memory.events", "oom_kill")
        if "memory" in controllers.split(","):
            return _counter(cgroups / "memory" / place / "memory.oom_control", "oom_kill")
    return 0


def _counter(path: Path, name: str) -> int:
    """The number after `name` in a file of such lines; 0 without it."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(value) for key, _, value in (line.partition(" ") for line in lines) if key == name), 0)
