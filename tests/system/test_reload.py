"""A reload that fails changes nothing; a stop does not wait for one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sdserve.config.options import BY_SECTION
from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.gates import Gate
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system

CONTROL_REQUESTS = 200
NO_LIFESPAN = """
async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})
"""


def broken_ini(shop: Deployment) -> str:
    shop.configure(count=2, lines=["thraeds = 4"])
    return "thraeds"


def missing_directory(shop: Deployment) -> str:
    shop.switch("r9")
    return "/srv/shop/current"


def broken_import(shop: Deployment) -> str:
    shop.put("bad", before="import nothing_of_this_name")
    shop.switch("bad")
    return "nothing_of_this_name"


def missing_application(shop: Deployment) -> str:
    shop.put("bad", after="del application")
    shop.switch("bad")
    return "application"


def failing_lifespan(shop: Deployment) -> str:
    shop.put("bad", after=NO_LIFESPAN)
    shop.switch("bad")
    return "the database is away"


def boot_without_end(shop: Deployment) -> str:
    shop.configure(count=2, lines=["boot_timeout = 1s"])
    shop.put("bad", before="import threading; threading.Event().wait()")
    shop.switch("bad")
    return "not ready within 1 s"


def exit_while_booting(shop: Deployment) -> str:
    shop.put("bad", before="import os; os._exit(7)")
    shop.switch("bad")
    return "7"


def crash_while_booting(shop: Deployment) -> str:
    shop.put("bad", before="import os; os.kill(os.getpid(), 11)")
    shop.switch("bad")
    return "SIGSEGV"


def failing_warm_up(shop: Deployment) -> str:
    shop.configure(count=2, lines=["[reload]", "warmup_path = /get"])  # without its number it fails
    return "500"


FAILURES: list[Callable[[Deployment], str]] = [
    broken_ini,
    missing_directory,
    broken_import,
    missing_application,
    boot_without_end,
    exit_while_booting,
    crash_while_booting,
]
"""What makes a reload impossible; each returns what the answer has to name."""

if "warmup_path" in BY_SECTION["reload"]:
    FAILURES.append(failing_warm_up)


@pytest.mark.parametrize(
    ("flavour", "failures"),
    [(ASGI, [*FAILURES, failing_lifespan]), (WSGI_4, FAILURES)],
    ids=["asgi", "wsgi-4"],
)
def test_a_reload_that_fails_says_why_and_changes_nothing(
    machine: Machine, flavour: Flavour, failures: list[Callable[[Deployment], str]]
) -> None:
    shop = Deployment(machine, flavour)
    before = shop.wait_until_settled(2)
    with shop.load() as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        for failure in failures:
            load.mark(failure.__name__)
            reason = failure(shop)
            outcome = shop.reload(check=False)
            said = outcome.stdout + outcome.stderr
            assert (outcome.returncode, reason in said) == (1, True), f"{failure.__name__}: {outcome}"
            assert shop.wait_until_settled(2) == before, failure.__name__
            assert shop.instance.property("ActiveState") == "active"
            shop.configure(count=2)
            shop.switch("r1")
        report = load.stop()

    assert report.faults() == ""
    assert {int(server.pid) for server in report.served} == set(before)
    assert shop.reload().returncode == 0, "what is mended can be reloaded"
    assert not set(shop.wait_until_settled(2)) & set(before)


@one_each("flavour", WSGI_4, ASGI)
def test_a_stop_does_not_wait_for_a_reload_and_loses_no_request(machine: Machine, flavour: Flavour) -> None:
    gate = Gate(machine, "/run/gate")
    shop = Deployment(machine, flavour)
    supervisor = shop.instance.main_pid()
    shop.put("r2", before='open("/run/gate").read()')
    shop.switch("r2")
    with ThreadPoolExecutor(1) as threads, shop.load(kept=False) as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        outcome = threads.submit(lambda: shop.reload(check=False))
        with gate.held():
            # The canary stands there. The next start, which is the next connection's, takes the old code.
            shop.switch("r1")
            load.mark("stop")
            shop.instance.stop()
            assert_refused(outcome.result(timeout=20))
        wait_for(lambda: shop.instance.main_pid() not in (0, supervisor), what="a connection has started it")
        load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()

    assert report.faults() == ""
    assert {server.release for server in report.served} == {"r1"}


def assert_refused(outcome: subprocess.CompletedProcess[str]) -> None:
    assert outcome.returncode == 1, outcome
    assert "stopping" in outcome.stdout + outcome.stderr


@one_each("flavour", WSGI_4, ASGI)
def test_of_reloads_asked_for_at_once_the_last_counts(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour)
    with ThreadPoolExecutor(4) as threads, shop.load() as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        outcomes = []
        for number in range(2, 6):
            shop.put(f"r{number}")
            shop.switch(f"r{number}")
            outcomes.append(threads.submit(shop.reload))
        for outcome in outcomes:
            assert outcome.result(timeout=20).returncode == 0
        shop.wait_until_settled(2)
        after = load.look()
        load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()

    assert report.faults() == ""
    assert {server.release for server in report.served if server.last > after.at} == {"r5"}
