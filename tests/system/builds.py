"""Builds of sdserve beside the installed one, of which a link says which one is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.system.instance import Instance
from tests.system.machine import Machine

_CHECKOUT = Path(__file__).parents[2]
_PLACE = "/opt/builds"


class Builds:
    """Those on one machine. The first is the one of this checkout."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.put("1.0")
        self.switch("1.0")

    def put(self, version: str, *, broken: str = "") -> None:
        """Put a build of this version there; `broken` is a line that its main module begins with."""
        package = self._machine.path(f"{_PLACE}/{version}/sdserve")
        shutil.copytree(_CHECKOUT / "sdserve", package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / "__init__.py").write_text(f'__version__ = "{version}"\n')
        if broken:
            module = package / "run/supervise.py"
            text = module.read_text()
            module.write_text(text.replace("import logging\n", f"import logging\n{broken}\n", 1))

    def switch(self, version: str) -> None:
        """Install it, in one step."""
        new = self._machine.path(f"{_PLACE}/new")
        new.symlink_to(f"{_PLACE}/{version}")
        os.replace(new, self._machine.path(f"{_PLACE}/current"))

    def use(self, instance: Instance) -> None:
        """Have the instance run what is installed, from its next start on."""
        text = f"[Service]\nEnvironment=PYTHONPATH={_PLACE}/current\nEnvironment=PYTHONDONTWRITEBYTECODE=1\n"
        self._machine.write(f"/etc/systemd/system/{instance.service}.d/20-builds.conf", text)
        self._machine.systemctl("daemon-reload")
