"""`apt upgrade` under load: instances take the new version up in place, and nobody notices."""

from __future__ import annotations

import pytest

from tests.load.report import Report
from tests.system.conftest import NEW, OLD
from tests.system.deployment import ASGI, WSGI_1, Deployment, Flavour
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.promises import check_nobody_notices
from tests.system.test_packages import install, version

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

REQUESTS = 400


@one_each("flavour", WSGI_1, ASGI)
def test_an_upgrade_of_the_package_is_noticed_by_nobody(bare: Machine, flavour: Flavour) -> None:
    install(bare, OLD)
    if bare.run("sdserve", "upgrade", "--help", check=False).returncode != 0:
        pytest.skip("this sdserve has no command `upgrade` yet")
    shop = Deployment(bare, flavour)
    pid = shop.instance.main_pid()

    def attempt() -> Report:
        with shop.load() as load:
            load.wait_for_requests(REQUESTS)
            for new in (NEW, OLD):
                load.mark(f"to {new}")
                install(bare, new)
                assert version(bare) == new
                assert shop.status()["version"] == new
                load.wait_for_requests(REQUESTS)
            return load.stop()

    check_nobody_notices(attempt)
    assert shop.instance.main_pid() == pid
