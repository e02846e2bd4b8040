"""The Debian releases that sdserve is tested on, and their root file systems, built once and kept.

A tree is never booted in place: a container sees it through an overlay in memory, so it stays as it was.
It is built anew when the recipe below changes, since its folder is named after the recipe.

Run as a program (`python -m tests.system.releases`) this builds what is missing and prints the folders.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.waiting import wait_for

CACHE_VARIABLE = "SDSERVE_TEST_TREES"
DEFAULT_CACHE = Path("/var/tmp/sdserve-tests")
BUILD_SECONDS = 900.0

PACKAGES = (
    "dbus",
    "iproute2",
    "libnss-systemd",
    "nginx",
    "procps",
    "python3",
    "python3-fastapi",
    "python3-flask",
    "python3-h11",
    "python3-websockets",
    "python3-systemd",
    "python3-uvloop",
    "systemd",
    "systemd-sysv",
)

RECIPE = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    # With a host name in the tree, systemd-nspawn's --hostname has no effect.
    '--customize-hook=rm -f "$1/etc/hostname"',
    # No folder, no persistent journal: a journal in memory starts empty with each boot.
    '--customize-hook=rm -rf "$1/var/log/journal"',
    # It is started by the tests that need it.
    '--customize-hook=rm "$1/etc/systemd/system/multi-user.target.wants/nginx.service"',
)


class TreeError(Exception):
    """A tree cannot be built on this machine; the message has the builder's own last words."""


@dataclass(frozen=True, slots=True)
class Release:
    """One Debian release, with what it ships."""

    name: str
    systemd: int
    python: str

    def tree(self) -> Path:
        """Return the root file system, built now if it is not there yet; TreeError if that fails."""
        tree = self._path()
        if not tree.is_dir():
            with _locked(tree):
                if not tree.is_dir():  # another run may have built it while this one waited
                    _build(self.name, tree)
        return tree

    def is_built(self) -> bool:
        """Tell whether `tree` would answer at once."""
        return self._path().is_dir()

    def compile(self, package: Path, place: str) -> None:
        """Have this release's Python compile a package of the host that machines will see at `place`.

        They see it read-only, and each process would compile it anew; packages do so once, when installed.
        """
        within_tree = (
            'mount --bind "$1" "$0/mnt";'
            ' exec chroot "$0" /usr/bin/python3 -m compileall -q -s /mnt -p "$2" /mnt'
        )
        command = ["unshare", "--mount", "bash", "-euc", within_tree, str(self.tree()), str(package), place]
        subprocess.run(command, check=True, timeout=BUILD_SECONDS)

    def _path(self) -> Path:
        cache = Path(os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE)
        digest = hashlib.sha256("\0".join((*RECIPE, self.name)).encode()).hexdigest()
        return cache / f"{self.name}-{digest[:12]}"


RELEASES = (
    Release(name="bookworm", systemd=252, python="3.11"),
    Release(name="trixie", systemd=257, python="3.13"),
)


@contextmanager
def _locked(tree: Path) -> Iterator[None]:
    """Hold the lock beside `tree`. The kernel lets go of it when its holder dies, however that happens."""
    tree.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{tree}.lock", "w") as lock:

        def acquired() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_for(acquired, what=f"nobody else builds {tree}", seconds=BUILD_SECONDS)
        yield


def _build(name: str, tree: Path) -> None:
    """Build beside the final place and rename, so that a tree which exists is a whole one."""
    unfinished = tree.with_name(f"{tree.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed; the lock says that it is gone
    try:
        subprocess.run(
            [*RECIPE, name, str(unfinished)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SECONDS,
        )
    except FileNotFoundError as error:
        raise TreeError("mmdebstrap is not installed") from error
    except subprocess.CalledProcessError as error:
        raise TreeError(
            f"mmdebstrap {name} exited with {error.returncode}:\n{error.stdout[-3000:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise TreeError(f"mmdebstrap {name} was not done after {BUILD_SECONDS:g} s") from error
    unfinished.rename(tree)


if __name__ == "__main__":
    for release in RELEASES:
        print(release.tree())
