"""Packages of this checkout, for tests of their form. That they work is tested in `tests/system`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Builds one kind of package with a program of `packaging`; the path of it."""
    made = {}

    def build(program, *needed):
        for name in needed:
            if shutil.which(name) is None:
                if os.environ.get("CI") == "true":
                    pytest.fail(f"not installed: {name}", pytrace=False)
                pytest.skip(f"not installed: {name}")
        if program not in made:
            folder = tmp_path_factory.mktemp(program)
            done = subprocess.run(
                [ROOT / "packaging" / program, "1.0", folder], check=False, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            (made[program],) = folder.iterdir()
        return made[program]

    return build
