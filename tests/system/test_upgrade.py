"""Another sdserve in place of the one that runs, under load: the same process, and nobody notices."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from tests.load.report import Report
from tests.system.builds import Builds
from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.promises import check_nobody_notices
from tests.system.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.alone]

CONTROL_REQUESTS = 300
UPGRADES = 10


class Shop(Deployment):
    """A deployment that runs a build of sdserve."""

    def __init__(self, machine: Machine, flavour: Flavour) -> None:
        super().__init__(machine, flavour)
        self.builds = Builds(machine)
        self.builds.use(self.instance)
        machine.systemctl("restart", self.instance.service)

    def upgrade(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.machine.run("sdserve", "upgrade", self.instance.name, check=check)


@one_each("flavour", WSGI_4, ASGI)
def test_ten_upgrades_and_a_downgrade_are_noticed_by_nobody(machine: Machine, flavour: Flavour) -> None:
    shop = Shop(machine, flavour)
    pid = shop.instance.main_pid()
    numbers = itertools.count(1)

    def attempt() -> Report:
        with shop.load() as load:
            load.wait_for_requests(CONTROL_REQUESTS)
            load.mark("upgrades")
            for number in itertools.islice(numbers, UPGRADES):
                version = f"2.{number}"
                shop.builds.put(version)
                shop.builds.switch(version)
                said = shop.upgrade().stdout
                assert f"was replaced by sdserve {version} on Python" in said
                assert shop.status()["version"] == version
            shop.builds.switch("1.0")
            shop.upgrade()
            assert shop.status()["version"] == "1.0"
            shop.wait_until_settled(2)
            return load.stop()

    check_nobody_notices(attempt)
    assert shop.instance.main_pid() == pid
    assert shop.instance.property("NRestarts") == "0"
    assert shop.instance.property("ActiveState") == "active"


@one_each("flavour", WSGI_4, ASGI)
def test_builds_that_cannot_take_over_change_nothing(machine: Machine, flavour: Flavour) -> None:
    shop = Shop(machine, flavour)
    pid = shop.instance.main_pid()
    before = shop.wait_until_settled(2)
    broken = {
        "3.1": ("import no_such_module", "No module named 'no_such_module'"),
        "3.2": ("import os; os.abort()", "SIGABRT"),
        "3.3": ("def", "SyntaxError: invalid syntax"),
    }

    def attempt() -> Report:
        with shop.load() as load:
            load.wait_for_requests(CONTROL_REQUESTS)
            load.mark("upgrades")
            for version, (_, reason) in broken.items():
                shop.builds.switch(version)
                failed = shop.upgrade(check=False)
                assert failed.returncode == 1
                assert reason in failed.stderr
                assert shop.status()["version"] == "1.0"
            return load.stop()

    for version, (line, _) in broken.items():
        shop.builds.put(version, broken=line)
    check_nobody_notices(attempt)
    assert shop.wait_until_settled(2) == before
    assert shop.instance.main_pid() == pid
    # A reload finds that sdserve has changed, and does the same.
    assert shop.reload(check=False).returncode == 1
    shop.builds.put("4.0")
    shop.builds.switch("4.0")
    assert "was replaced by sdserve 4.0" in shop.reload().stdout
    assert shop.status()["version"] == "4.0"


def test_a_program_that_dies_right_after_the_exec_is_started_again_with_what_it_had(machine: Machine) -> None:
    shop = Shop(machine, ASGI)
    # In its trial nothing is handed over to it.
    shop.builds.put("5.0", broken="import os\nif 'SDSERVE_STATE' in os.environ:\n    os.abort()")
    shop.builds.switch("5.0")
    with shop.load(kept=False) as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        assert shop.upgrade(check=False).returncode != 0
        wait_for(lambda: shop.instance.property("NRestarts") == "1", what="it was started again")
        shop.instance.wait_for_state("active")
        load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()
    assert not report.failed, report.faults()
    status = shop.status()
    assert status["version"] == "5.0"
    assert status["generations"][0]["number"] == 4, "it goes on counting"
