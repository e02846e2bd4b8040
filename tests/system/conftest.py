"""What the system tests share: a freshly booted machine of each release, and `sdserve@hello` on it.

Where containers cannot be booted the tests fail in CI (`CI=true`) and are skipped elsewhere, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.system import cgroups
from tests.system.instance import MOUNTS, Instance
from tests.system.machine import Machine, MachineError, obstacle
from tests.system.releases import RELEASES, Release, TreeError

Trees = dict[str, Path | str]
_TREES = pytest.StashKey[Trees]()
"""By release: its tree, or why there is none that boots here."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare the trees before the first test starts, since building them takes longer than a test may."""
    config = session.config
    if config.option.collectonly or not any(item.get_closest_marker("system") for item in session.items):
        return
    config.stash[_TREES] = {release.name: _tree_or_reason(release) for release in RELEASES}


def _tree_or_reason(release: Release) -> Path | str:
    if reason := obstacle():
        return reason
    cgroups.sweep()
    if not release.is_built():
        print(f"\nBuilding a Debian tree to test on ({release.name}); this takes a minute.", flush=True)
    try:
        tree = release.tree()
        with Machine(tree, mounts={}):
            return tree
    except (TreeError, MachineError, AssertionError, OSError) as error:
        return f"cannot boot {release.name}: {error}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the machine has to say beside a failure."""
    report = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.when == "call" and report.failed and isinstance(machine, Machine):
        journal = machine.run("journalctl", "--no-pager", "--unit=sdserve@*", check=False)
        report.sections.append(("Journal of the machine", journal.stdout))
    return report


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    assert isinstance(request.param, Release)
    return request.param


@pytest.fixture
def machine(release: Release, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Return a machine that has just booted, with sdserve installed and no instance configured."""
    tree = request.config.stash[_TREES][release.name]
    if isinstance(tree, str):
        if os.environ.get("CI") == "true":
            pytest.fail(tree, pytrace=False)
        pytest.skip(tree)
    with Machine(tree, mounts=MOUNTS) as booted:
        yield booted


@pytest.fixture
def hello(machine: Machine) -> Instance:
    return Instance(machine)
