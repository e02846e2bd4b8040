"""An application that is deployed release by release: a folder for each, and a link to the current one.

The application is that of `tests.load`, `mix_wsgi` or `mix_asgi`: one copy in each release, which tells the
folder's name.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.load.plan import BLOCKING, THREADED, Plan
from tests.load.process import Load
from tests.system.instance import Instance
from tests.system.machine import Machine
from tests.system.waiting import wait_for

_APPS = Path(__file__).parents[1] / "load/apps"
_PLACE = "/srv/shop"


@dataclass(frozen=True, slots=True)
class Flavour:
    """How an application is served."""

    name: str
    module: str
    threads: int
    plan: Plan

    def __str__(self) -> str:
        return self.name


WSGI_1 = Flavour("wsgi-1", "mix_wsgi", 1, BLOCKING)
WSGI_4 = Flavour("wsgi-4", "mix_wsgi", 4, THREADED)
ASGI = Flavour("asgi", "mix_asgi", 1, Plan())


class Deployment:
    """One instance on a machine, started with the release `r1`."""

    def __init__(
        self, machine: Machine, flavour: Flavour, *, count: int = 2, lines: Sequence[str] = ()
    ) -> None:
        """`lines` are more of the INI, from within its section [workers] on."""
        self.machine = machine
        self.flavour = flavour
        self.instance = Instance(machine, "shop")
        self.put("r1")
        self.switch("r1")
        self.configure(count=count, lines=lines)
        self.instance.listen()
        self.instance.start()

    def configure(self, *, count: int, lines: Sequence[str] = ()) -> None:
        self.instance.configure(
            f"{self.flavour.module}:application",
            "[workers]",
            f"count = {count}",
            f"threads = {self.flavour.threads}",
            *lines,
            directory=f"{_PLACE}/current",
        )

    def put(self, release: str, before: str = "", after: str = "") -> None:
        """Put a release beside the others; `before` and `after` are code around the application's."""
        text = (_APPS / f"{self.flavour.module}.py").read_text()
        self.machine.write(f"{_PLACE}/{release}/{self.flavour.module}.py", f"{before}\n{text}\n{after}\n")

    def switch(self, release: str) -> None:
        """Make it the one that the next reload takes, in one step as a deployment does."""
        link, new = self.machine.path(f"{_PLACE}/current"), self.machine.path(f"{_PLACE}/new")
        new.symlink_to(f"{_PLACE}/{release}")
        os.replace(new, link)

    # Orders

    def reload(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Have it reloaded, and wait for the outcome."""
        return self.machine.run("sdserve", "reload", self.instance.name, check=check)

    def deploy(self, release: str) -> None:
        """Put a release, and have it served."""
        self.put(release)
        self.switch(release)
        self.reload()

    def scale(self, count: int) -> None:
        self.machine.run("sdserve", "scale", self.instance.name, str(count))

    def load(self, *, phase: str = "control", kept: bool = True) -> Load:
        """Load on it; `kept`: over connections that are used again, and over new ones. A stop closes them."""
        plan = self.flavour.plan
        return Load(
            ("127.0.0.1", self.instance.port),
            plan if kept else plan.on_new_connections(),
            phase=phase,
            inside=self.machine.into_network(),
        )

    # Questions

    def status(self) -> dict[str, Any]:
        answer = self.machine.run("sdserve", "status", "--json", self.instance.name)
        status: dict[str, Any] = json.loads(answer.stdout)
        return status

    def workers(self) -> dict[int, str]:
        """Return the pids of all workers, and the state of each."""
        return {worker["pid"]: worker["state"] for worker in self.status()["workers"]}

    def wait_until_settled(self, count: int) -> dict[int, str]:
        """Return the workers once so many are ready, and there are no others."""

        def settled() -> dict[int, str] | None:
            workers = self.workers()
            return workers if list(workers.values()) == ["ready"] * count else None

        workers = wait_for(settled, what=f"{count} workers are ready, and no others")
        assert workers is not None
        return workers
