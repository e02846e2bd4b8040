"""New code under load, many times in a row: no request fails, no connection is closed, and nobody waits."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from tests.load.report import Report
from tests.system.deployment import (
    ASGI,
    WSGI_1,
    WSGI_4,
    Deployment,
    Flavour,
)
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.promises import check_nobody_notices
from tests.system.sockets import clients_of
from tests.system.waiting import let_pass, wait_for

pytestmark = [pytest.mark.system, pytest.mark.alone]

CONTROL_REQUESTS = 400
RELOADS = 20
EVERY_SECOND = 15


@one_each("flavour", WSGI_4, ASGI)
def test_twenty_reloads_are_noticed_by_nobody(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour)
    numbers = itertools.count(2)

    def attempt() -> Report:
        with shop.load() as load:
            load.wait_for_requests(CONTROL_REQUESTS)
            load.mark("reloads")
            for number in itertools.islice(numbers, RELOADS):
                shop.deploy(f"r{number}")
            shop.wait_until_settled(2)
            after = load.mark("after")
            load.wait_for_requests(CONTROL_REQUESTS // 2)
            report = load.stop()
        late = {server.release for server in report.served if server.last > after.at}
        assert late == {f"r{number}"}, "when a reload is over the new code alone answers"
        return report

    report = check_nobody_notices(attempt)
    assert len({server.release for server in report.served}) >= RELOADS


@one_each("flavour", WSGI_1, ASGI)
def test_a_reload_every_second_is_noticed_by_nobody(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour)
    numbers = itertools.count(2)

    def attempt() -> Report:
        with shop.load() as load:
            load.wait_for_requests(CONTROL_REQUESTS)
            load.mark("reloads")
            began = time.monotonic()
            for second in range(1, EVERY_SECOND + 1):
                shop.deploy(f"r{next(numbers)}")
                let_pass(began + second - time.monotonic())
            return load.stop()

    check_nobody_notices(attempt)


@one_each("flavour", WSGI_1, ASGI)
def test_under_full_load_ten_reloads_cost_wrk_no_connection(machine: Machine, flavour: Flavour) -> None:
    wrk = shutil.which("wrk")
    if wrk is None and os.environ.get("CI") != "true":
        pytest.skip("wrk is not installed")
    assert wrk is not None
    shop = Deployment(machine, flavour)
    url = f"http://127.0.0.1:{shop.instance.port}/get?n=1"
    command = [*machine.into_network(), wrk, "--threads=1", "--connections=64", "--duration=100s", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            before = wait_for(lambda: full(clients_of(machine, shop.instance.port)), what="wrk has connected")
            for number in range(2, 12):
                shop.deploy(f"r{number}")
            assert running.poll() is None, "wrk still runs"
            assert clients_of(machine, shop.instance.port) == before, "these are the same connections"
            running.send_signal(signal.SIGINT)  # it says what it has found so far
            output = running.communicate(timeout=20)[0]
        finally:
            running.kill()
    assert "errors" not in output
    assert "Non-2xx" not in output
    assert re.search(r"[1-9]\d* requests in", output)


def full(clients: set[int]) -> set[int] | None:
    return clients if len(clients) == 64 else None
