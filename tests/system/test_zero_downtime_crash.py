"""SIGKILL to workers under load: what they held is lost, exactly, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.load.report import Outcome
from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.gates import Gate
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.sockets import clients_of_process
from tests.system.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.alone]

CONTROL_REQUESTS = 200
COUNT = 3


@one_each("flavour", WSGI_4, ASGI)
def test_a_killed_worker_takes_only_its_own_connections_with_it(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour, count=COUNT)
    lost: set[int] = set()
    with shop.load() as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        # Each slot once: the second time in a row one would have to wait for its back-off.
        for victim in shop.wait_until_settled(COUNT):
            load.mark(f"kill {victim}")
            lost |= kill(shop, victim)
            assert victim not in shop.wait_until_settled(COUNT)
            load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()

    assert {failure.port for failure in report.failures} <= lost
    assert {closing.port for closing in report.closings} <= lost
    assert set(report.requests) <= {Outcome.OK, Outcome.RESET, Outcome.CLOSED, Outcome.SHORT}
    assert report.closings, "workers that held no connection at all would prove nothing"


@one_each("flavour", WSGI_4, ASGI)
def test_a_new_worker_that_dies_before_all_are_new_takes_the_reload_back(
    machine: Machine, flavour: Flavour
) -> None:
    gate = Gate(machine, "/run/gate")
    shop = Deployment(machine, flavour)
    shop.put("r2", before='import os\nif os.environ["SDSERVE_SLOT"] == "2":\n    open("/run/gate").read()')
    shop.switch("r2")
    with ThreadPoolExecutor(1) as threads, shop.load() as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        reloading = threads.submit(lambda: shop.reload(check=False))
        with gate.held():
            (victim,) = (
                worker["pid"]
                for worker in shop.status()["workers"]
                if worker["state"] == "ready" and worker["generation"] == 2
            )
            lost = kill(shop, victim)
            outcome = reloading.result(timeout=20)
        shop.wait_until_settled(2)
        after = load.look()
        load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()

    assert outcome.returncode == 1
    assert "going back to generation 1" in outcome.stderr
    assert {failure.port for failure in report.failures} <= lost
    assert {closing.port for closing in report.closings} <= lost
    assert {server.release for server in report.served if server.last > after.at} == {"r1"}


def kill(shop: Deployment, pid: int) -> set[int]:
    """Kill a worker, and return the clients' ports of the connections that it held at that moment."""
    machine = shop.machine
    machine.run("kill", "-STOP", str(pid))
    wait_for(
        lambda: machine.path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T",
        what="the worker stands still",
    )
    held = clients_of_process(machine, shop.instance.port, pid)
    shop.instance.kill(pid)
    return held
