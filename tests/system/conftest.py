"""What the system tests share: a freshly booted machine of each release, and `sdserve@hello` on it.

Where containers cannot be booted the tests fail in CI (`CI=true`) and are skipped elsewhere, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.system import cgroups
from tests.system.instance import CHECKOUT, MOUNTS, PACKAGE, Instance
from tests.system.machine import Machine, MachineError, obstacle
from tests.system.releases import RELEASES, Release, TreeError

BUILDERS = ("dpkg-buildpackage", "dh", "dh_python3")
OLD, NEW = "1.0", "1.1"

Trees = dict[str, Path | str]
_PACKAGES = pytest.StashKey[Path | str]()
_TREES = pytest.StashKey[Trees]()
"""By release: its tree, or why there is none that boots here."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare the trees before the first test starts, since building them takes longer than a test may."""
    config = session.config
    if config.option.collectonly or not any(item.get_closest_marker("system") for item in session.items):
        return
    config.stash[_TREES] = {release.name: _tree_or_reason(release) for release in RELEASES}
    if any("packages" in getattr(item, "fixturenames", ()) for item in session.items):
        folder = tempfile.TemporaryDirectory(prefix="sdserve-packages-")
        config.add_cleanup(folder.cleanup)
        config.stash[_PACKAGES] = _packages_or_reason(Path(folder.name))


def _packages_or_reason(folder: Path) -> Path | str:
    if missing := [program for program in BUILDERS if shutil.which(program) is None]:
        return f"not installed: {', '.join(missing)}"
    print("\nBuilding packages to test.", flush=True)
    subprocess.run([CHECKOUT / "packaging/build-deb", OLD, folder], check=True)
    # The newer one is the same with another number.
    files = folder / "files"
    subprocess.run(["dpkg-deb", "--raw-extract", folder / f"sdserve_{OLD}_all.deb", files], check=True)
    for path in ("DEBIAN/control", "usr/lib/python3/dist-packages/sdserve/__init__.py"):
        text = (files / path).read_text()
        assert OLD in text
        (files / path).write_text(
            text.replace(f"Version: {OLD}", f"Version: {NEW}").replace(f'"{OLD}"', f'"{NEW}"')
        )
    subprocess.run(["dpkg-deb", "--build", files, folder / f"sdserve_{NEW}_all.deb"], check=True)
    shutil.rmtree(files)
    return folder


def _tree_or_reason(release: Release) -> Path | str:
    if reason := obstacle():
        return reason
    cgroups.sweep()
    if not release.is_built():
        print(f"\nBuilding a Debian tree to test on ({release.name}); this takes a minute.", flush=True)
    try:
        tree = release.tree()
        release.compile(MOUNTS[PACKAGE], PACKAGE)
        with Machine(tree, mounts={}):
            return tree
    except (TreeError, MachineError, AssertionError, OSError, subprocess.SubprocessError) as error:
        return f"cannot boot {release.name}: {error}"


def _machine(item: pytest.Item) -> object:
    fixtures = getattr(item, "funcargs", {})
    return fixtures.get("machine") or fixtures.get("bare")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the machine has to say beside a failure."""
    report = yield
    machine = _machine(item)
    if report.when == "call" and report.failed and isinstance(machine, Machine):
        journal = machine.run("journalctl", "--no-pager", "--unit=sdserve@*", check=False)
        report.sections.append(("Journal of the machine", journal.stdout))
    return report


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    assert isinstance(request.param, Release)
    return request.param


@pytest.fixture
def tree(release: Release, request: pytest.FixtureRequest) -> Path:
    """Return the root file system of a release."""
    found = request.config.stash[_TREES][release.name]
    if isinstance(found, str):
        give_up(found)
    return found


def give_up(reason: str) -> NoReturn:
    """End the test: what it needs is not on this machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def machine(tree: Path) -> Iterator[Machine]:
    """Return a machine that has just booted, with sdserve installed and no instance configured."""
    with Machine(tree, mounts=MOUNTS) as booted:
        yield booted


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> Path:
    """Return a folder with two Debian packages of this checkout, of the versions `OLD` and `NEW`."""
    found = request.config.stash[_PACKAGES]
    if isinstance(found, str):
        give_up(found)
    return found


@pytest.fixture
def bare(tree: Path, packages: Path, tmp_path: Path) -> Iterator[Machine]:
    """Return a machine without sdserve, but with its packages in /packages; it can be rebooted."""
    mounts = {"/packages": packages, "/srv/applications": MOUNTS["/srv/applications"]}
    with Machine(tree, mounts=mounts, disk=tmp_path) as booted:
        yield booted


@pytest.fixture
def hello(machine: Machine) -> Instance:
    return Instance(machine)
