"""WatchdogSec=: systemd restarts a service whose workers all stand still, and not one that is busy."""

from __future__ import annotations

import json

import pytest

from tests.system.instance import Instance
from tests.system.waiting import let_pass, wait_for

pytestmark = [pytest.mark.system, pytest.mark.alone]

SECONDS = 2
APPLICATION = """
import threading, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hang":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if path == "/busy":
        until = time.monotonic() + 8
        while time.monotonic() < until:
            pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""


@pytest.fixture
def watched(hello: Instance) -> Instance:
    hello.machine.write("/srv/watched/watched.py", APPLICATION)
    hello.drop_in(hello.service, f"[Service]\nWatchdogSec={SECONDS}\nRestartSec=50ms\n")
    hello.configure("watched:app", "[workers]", "count = 2", "stall_timeout = 0", directory="/srv/watched")
    hello.listen()
    hello.start()
    return hello


def test_a_service_whose_workers_all_hang_is_restarted(watched: Instance) -> None:
    requests = [watched.request("/hang")]
    wait_for(lambda: hanging(watched) == 1, what="one worker hangs")
    let_pass(SECONDS * 2)
    assert watched.property("NRestarts") == "0", "one is left"
    requests.append(watched.request("/hang"))
    wait_for(lambda: watched.property("NRestarts") == "1", what="systemd has restarted it")
    assert watched.get("/").status == 200
    assert "watchdog" in watched.journal().lower()
    del requests


def test_a_service_that_is_merely_busy_is_not(watched: Instance) -> None:
    requests = [watched.request("/busy") for _ in range(4)]
    assert all(request.answer().status == 200 for request in requests)
    assert watched.property("NRestarts") == "0"


def hanging(instance: Instance) -> int:
    """Return how many workers have a request in flight."""
    answer = instance.machine.run("sdserve", "status", "--json", instance.name)
    return sum(worker["in_flight"] > 0 for worker in json.loads(answer.stdout)["workers"])
