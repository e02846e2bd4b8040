"""A control group of its own for each container, and the sweeping of those that nobody uses any more.

systemd-nspawn --keep-unit puts its payload below its own control group. Two containers started from one shell
would share that one, and each would take the other's services for its own; hence one group each.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.system.waiting import wait_for

_MOUNT = Path("/sys/fs/cgroup")
_PREFIX = "sdserve-test"


def hierarchies() -> list[Path]:
    """Return what a container's processes have to be moved in: one hierarchy, or two on a hybrid host.

    A host with only the second version has it at the mount point itself; a hybrid one has it at `unified`,
    and systemd's own named hierarchy beside it.
    """
    hybrid = [path for name in ("unified", "systemd") if (path := _MOUNT / name).is_dir()]
    return hybrid or [_MOUNT]


def name_for(number: int) -> str:
    """Return a container's name that says which run of the tests it belongs to."""
    return f"{_PREFIX}-{os.getpid()}-{number}"


def remove(name: str) -> None:
    """Remove the empty groups of a container that has ended. The kernel takes a moment to empty them."""
    groups = [top / name for top in hierarchies()]
    wait_for(lambda: all(map(_is_gone, groups)), what=f"control group {name} is gone")


def sweep() -> None:
    """Remove what killed runs have left. The kernel does not remove a group that has a process in it."""
    for top in hierarchies():
        for group in top.glob(f"{_PREFIX}-*"):
            owner = group.name.removeprefix(f"{_PREFIX}-").partition("-")[0]
            if not Path("/proc", owner).exists():
                _is_gone(group)


def _is_gone(top: Path) -> bool:
    """Remove a group with all below it, and tell whether that could be done."""
    for folder, _folders, _files in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False  # busy: some process in it is still on its way out
    return True
