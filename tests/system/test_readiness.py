"""READY=1 and STATUS=: what systemd is told, and when."""

from __future__ import annotations

import pytest

from tests.system.gates import Gate
from tests.system.instance import Instance
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


def test_the_service_is_activating_until_a_worker_answers(hello: Instance) -> None:
    gate = Gate(hello.machine, "/run/gate")
    hello.configure("slow_boot:app", "[workers]", "count = 1")
    hello.listen()
    hello.machine.systemctl("start", "--no-block", hello.service)

    with gate.held():
        assert hello.property("ActiveState") == "activating"
        assert "Booting" in hello.property("StatusText")
        waiting = hello.request("/")

    assert waiting.answer().text == "flask"
    hello.wait_for_state("active")


def test_the_start_order_returns_when_all_workers_are_ready(hello: Instance) -> None:
    hello.configure("flask_probe:app", "[workers]", "count = 3")
    hello.listen()
    hello.start()

    assert hello.property("ActiveState") == "active"
    assert hello.property("StatusText") == "Serving, 3 of 3 workers ready"
    assert len(hello.pids()) == 5, "the supervisor, the zygote and three workers"


def test_systemctl_status_shows_the_status_line(hello: Instance) -> None:
    hello.configure("flask_probe:app", "[workers]", "count = 2")
    hello.listen()
    hello.start()

    assert 'Status: "Serving, 2 of 2 workers ready"' in hello.status()


def test_the_status_line_tells_of_a_worker_that_cannot_come_back(hello: Instance) -> None:
    # The application is broken after the service has started: the worker that is left goes on.
    folder = "/srv/changing"
    hello.machine.write(f"{folder}/changing.py", "from flask_probe import app\n")
    hello.configure(
        "changing:app",
        "[workers]",
        "count = 2",
        "[environment]",
        "PYTHONPATH = /srv/applications",
        directory=folder,
    )
    hello.listen()
    hello.start()
    hello.machine.write(f"{folder}/changing.py", "raise SystemExit('broken now')\n")
    hello.kill(hello.worker_pid())

    wait_for(lambda: "1 of 2 workers ready" in hello.property("StatusText"), what="the status tells it")
    assert hello.get("/").text == "flask"
    assert hello.property("ActiveState") == "active"
