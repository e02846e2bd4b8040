"""How many CPUs this process may use, and how much memory: what `workers.count = auto` follows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cpus(cgroups: Path = CGROUPS, own_cgroup: Path = OWN_CGROUP) -> int:
    """Return the CPUs in our affinity mask, or the cgroup's quota where that is less; at least 1.

    A quota is rounded up: one worker cannot use more than one CPU, so 150 % feed two.

    Args:
        cgroups: where the cgroup v2 hierarchy is mounted.
        own_cgroup: the file that names our place in it.
    """
    affinity = len(os.sched_getaffinity(0))
    quota = cgroup_quota(cgroups, own_cgroup)
    return affinity if quota is None else min(affinity, quota)


def cgroup_quota(cgroups: Path, own_cgroup: Path) -> int | None:
    """Return the smallest CPU quota of our cgroup and those above it, rounded up; None if there is none."""
    quotas = [_quota(place / "cpu.max") for place in _places(cgroups, own_cgroup)]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(cgroups: Path = CGROUPS, own_cgroup: Path = OWN_CGROUP) -> int | None:
    """Return the bytes that our cgroup, or the tightest above it, may use; None if there is no limit.

    That from which on it is slowed down (memory.high) counts as well as the last one (memory.max).
    """
    limits = [
        _number(place / file)
        for place in _places(cgroups, own_cgroup)
        for file in ("memory.max", "memory.high")
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def _places(cgroups: Path, own_cgroup: Path) -> Iterator[Path]:
    """Yield the directories of our cgroup and of those above it."""
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return
    # cgroups(7): the v2 hierarchy has number 0 and no controllers.
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    group = Path(path.removesuffix(" (deleted)").lstrip("/"))
    if ".." in group.parts:  # we are outside of our cgroup namespace's root, and cannot see our own files
        group = Path()
    for place in (group, *group.parents):
        yield cgroups / place


def _quota(path: Path) -> int | None:
    """Read a cpu.max file: "MAX PERIOD" in microseconds, MAX may be `max` (kernel's cgroup-v2.rst)."""
    try:
        most, period = path.read_text().split()
        return max(1, -(-int(most) // int(period)))
    except (
        OSError,
        ValueError,
        ZeroDivisionError,
    ):  # absent in the root group and without the controller; or `max`
        return None


def _number(path: Path) -> int | None:
    """Read a file with one number, which may be `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
