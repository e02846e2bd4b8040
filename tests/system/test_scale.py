"""More and fewer workers under load."""

from __future__ import annotations

import pytest

from tests.load.report import Report
from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.promises import check_nobody_notices

pytestmark = [pytest.mark.system, pytest.mark.alone]

CONTROL_REQUESTS = 400


@one_each("flavour", WSGI_4, ASGI)
def test_scaling_up_and_down_is_noticed_by_nobody(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour, count=1)

    def attempt() -> Report:
        with shop.load() as load:
            load.wait_for_requests(CONTROL_REQUESTS)
            for count in (4, 2, 4, 1):
                load.mark(f"scale to {count}")
                shop.scale(count)
                assert len(shop.wait_until_settled(count)) == count
                load.wait_for_requests(CONTROL_REQUESTS // 4)
            return load.stop()

    report = check_nobody_notices(attempt)
    assert len({server.slot for server in report.served}) > 1, "more workers take part in the work"


def test_the_workers_that_stay_are_the_same(machine: Machine) -> None:
    shop = Deployment(machine, ASGI, count=2)
    before = shop.wait_until_settled(2)
    shop.scale(3)
    assert set(before) < set(shop.wait_until_settled(3))
    shop.scale(2)
    assert shop.wait_until_settled(2) == before


def test_a_reload_brings_the_number_of_the_configuration_back(machine: Machine) -> None:
    shop = Deployment(machine, ASGI, count=2)
    shop.scale(4)
    shop.wait_until_settled(4)
    shop.reload()
    shop.wait_until_settled(2)
