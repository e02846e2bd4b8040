"""Virtual environments: of our own Python's version, and of another one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sdserve.errors import EXIT_CONFIG
from tests.run.conftest import ask
from tests.run.installed import OURS, other_python
from tests.serving import ROOT, TIMEOUT


@pytest.fixture(scope="module")
def foreign_venv(tmp_path_factory):
    """A virtual environment of another Python, without any package."""
    if (python := other_python()) is None:
        pytest.skip("no other Python from 3.11 to 3.14 is installed here")
    directory = tmp_path_factory.mktemp("foreign") / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", directory], check=True, timeout=60)
    return directory


def packages_of(venv):
    [packages] = venv.glob("lib/python3*/site-packages")
    return packages


@pytest.fixture
def own_venv(tmp_path):
    """A virtual environment of our own Python, with a package and one that a .pth file names."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=60)
    (packages_of(tmp_path / "venv") / "shop_package.py").touch()
    (tmp_path / "editable").mkdir()
    (tmp_path / "editable" / "shop_editable.py").touch()
    (packages_of(tmp_path / "venv") / "shop.pth").write_text(f"{tmp_path}/editable\n")
    return tmp_path / "venv"


def test_the_packages_of_a_venv_come_before_our_own(serve, own_venv, tmp_path):
    with serve("--set", f"app.venv={own_venv}") as server:
        path = ask(server)["path"]
        assert path[0] == str(ROOT)
        assert path.index(str(packages_of(own_venv))) < path.index(f"{tmp_path}/editable")
        ours = [place for place in path if place.endswith("site-packages") and str(own_venv) not in place]
        assert path.index(f"{tmp_path}/editable") < path.index(ours[0])
        assert server.stop() == 0


def test_links_are_followed_once(serve, tmp_path):
    (tmp_path / "release-1").mkdir()
    (tmp_path / "release-1" / "shop.py").write_text("from tests.run.application import application\n")
    (tmp_path / "current").symlink_to("release-1")
    with serve("--set", f"app.directory={tmp_path}/current", application="shop:application") as server:
        assert ask(server)["cwd"] == f"{tmp_path}/release-1"
        (tmp_path / "current").unlink()
        os.kill(ask(server)["pid"], 9)
        assert ask(server)["cwd"] == f"{tmp_path}/release-1"
        assert server.stop() == 0


@pytest.mark.slow
def test_a_venv_of_another_python_that_has_sdserve_runs_on_it(serve, foreign_venv):
    (packages_of(foreign_venv) / "checkout.pth").write_text(f"{ROOT}\n")
    with serve("--set", f"app.venv={foreign_venv}", "--set", "workers.loop=asyncio") as server:
        about = ask(server)
        assert f"python{about['python'][0]}.{about['python'][1]}" in str(packages_of(foreign_venv))
        assert tuple(about["python"]) != OURS
        assert about["modules"] == []
        assert server.stop() == 0
    (packages_of(foreign_venv) / "checkout.pth").unlink()


@pytest.mark.slow
def test_a_venv_of_another_python_without_sdserve_says_what_to_do(run, foreign_venv, tmp_path):
    bind = ["--bind", f"unix:{tmp_path}/web.sock"]
    with run("x:y", *bind, "--set", f"app.venv={foreign_venv}") as server:
        assert server.process.wait(TIMEOUT) == EXIT_CONFIG
        assert f"{foreign_venv}/bin/python -m pip install sdserve" in server.stderr()
