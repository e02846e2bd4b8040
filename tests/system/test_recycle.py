"""Workers that are replaced because they have had their share of requests, of time, or of memory."""

from __future__ import annotations

import pytest

from tests.load.report import Report
from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.promises import check_nobody_notices
from tests.system.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.alone]

COUNT = 2
CONTROL_REQUESTS = 400
STORM_REQUESTS = 900


@one_each("flavour", WSGI_4, ASGI)
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


HOARD = """
HOARDED = []
def hoard():
    if sum(map(len, HOARDED)) < 200_000_000:
        HOARDED.append(b"x" * 2_000_000)
"""
HOARDING = {
    "wsgi-4": f"""{HOARD}
inner = application
def application(environ, start_response):
    hoard()
    return inner(environ, start_response)
""",
    "asgi": f"""{HOARD}
inner = application
async def application(scope, receive, send):
    hoard()
    await inner(scope, receive, send)
""",
}


@one_each("flavour", WSGI_4, ASGI)
def test_workers_that_are_old_or_have_grown_are_replaced_and_nobody_notices(
    machine: Machine, flavour: Flavour
) -> None:
    shop = Deployment(machine, flavour, count=COUNT)
    shop.put("r2", after=HOARDING[flavour.name])

    def all_new() -> None:
        before = set(shop.workers())
        wait_for(lambda: not before & set(shop.workers()), what="all workers are others")

    with shop.load() as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        shop.configure(count=COUNT, lines=["max_age = 2s"])
        shop.reload()
        all_new()
        shop.configure(count=COUNT, lines=["max_memory = 100M"])
        shop.switch("r2")
        shop.reload()
        all_new()
        report = load.stop()
    assert not report.faults(), report.faults()
    journal = shop.instance.journal()
    assert "wants to be replaced: workers.max_age" in journal
    assert "wants to be replaced: workers.max_memory" in journal
