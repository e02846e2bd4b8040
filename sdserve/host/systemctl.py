"""Asking a service manager, by systemctl(1). It waits; for commands, never for a process that serves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sdserve.errors import SdserveError

PROGRAM = "systemctl"
ACTIVE = ("active", "activating", "reloading", "deactivating", "refreshing")


class Systemctl:
    """The system's manager, or that of this user."""

    def __init__(self, *, is_user: bool = False) -> None:
        self.command = f"{PROGRAM} --user" if is_user else PROGRAM
        """As somebody would type it."""
        self._is_user = is_user

    def run(self, *arguments: str) -> str:
        """Return what it prints. SdserveError, with its own words, if it fails."""
        try:
            done = subprocess.run(
                [*self.command.split(), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError:
            raise SdserveError(f"there is no {PROGRAM} here: does systemd run this machine?") from None
        if done.returncode != 0:
            words = done.stderr.strip() or f"exit code {done.returncode}"
            raise SdserveError(f"{self.command} {' '.join(arguments)}: {words}")
        return done.stdout

    def is_active(self, unit: str) -> bool:
        """Whether `unit` runs, or is about to."""
        return self.run("show", "--property=ActiveState", "--value", unit).strip() in ACTIVE

    def generated(self) -> Path:
        """The directory into which its generators have written."""
        runtime = os.environ.get("XDG_RUNTIME_DIR", "") if self._is_user else "/run"
        return Path(runtime, "systemd/generator")
