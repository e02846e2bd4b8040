"""Workers that are replaced all the time because they have had their share of requests."""

from __future__ import annotations

import pytest

from sdserve.config.options import BY_SECTION
from tests.load.report import Report
from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.machine import Machine
from tests.system.promises import check_nobody_notices

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        "max_requests" not in BY_SECTION["workers"], reason="no worker asks to be recycled yet"
    ),
]

COUNT = 2
CONTROL_REQUESTS = 400
STORM_REQUESTS = 900


@pytest.mark.parametrize("flavour", [ASGI, WSGI_4], ids=str)
def test_a_storm_of_recycling_is_noticed_by_nobody(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour, count=COUNT)

    def attempt() -> Report:
        shop.configure(count=COUNT)
        shop.reload()
        calm = shop.wait_until_settled(COUNT)
        with shop.load() as load:
            load.wait_for_requests(CONTROL_REQUESTS)
            assert shop.workers() == calm
            load.mark("storm")
            shop.configure(count=COUNT, lines=["max_requests = 40"])
            shop.reload()
            for _ in range(4):
                load.wait_for_requests(STORM_REQUESTS // 4)
                assert list(shop.workers().values()).count("ready") >= COUNT, "the successor is ready first"
            return load.stop()

    report = check_nobody_notices(attempt)
    assert {server.slot for server in report.served} == {"1", "2"}
    assert len({server.pid for server in report.served}) > 4 * COUNT
