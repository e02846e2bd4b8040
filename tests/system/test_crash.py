"""SIGKILL from outside: a worker is replaced by the supervisor, the supervisor by systemd."""

from __future__ import annotations

import pytest

from tests.system.instance import Instance
from tests.system.pairs import one_each
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_a_killed_worker_is_replaced(hello: Instance, application: str) -> None:
    hello.configure(application, "[workers]", "count = 1")
    hello.listen()
    hello.start()
    victim = hello.worker_pid()
    supervisor = hello.main_pid()
    hello.kill(victim)

    assert hello.worker_pid() != victim
    assert hello.main_pid() == supervisor
    assert hello.property("NRestarts") == "0"
    wait_for(
        lambda: hello.property("StatusText") == "Serving, 1 of 1 workers ready",
        what="the status is honest again",
    )
    assert "SIGKILL" in hello.journal("--priority=warning")


def test_a_killed_zygote_is_replaced_and_nobody_notices(hello: Instance) -> None:
    hello.configure("flask_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    worker = hello.worker_pid()
    (zygote,) = hello.pids() - {worker, hello.main_pid()}
    hello.kill(zygote)

    assert hello.worker_pid() == worker
    # The new one can fork: it is asked to as soon as a worker is missing.
    hello.kill(worker)
    assert hello.worker_pid() != worker
    assert hello.property("NRestarts") == "0"


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_a_killed_supervisor_is_started_again_and_its_workers_are_gone(
    hello: Instance, application: str
) -> None:
    hello.configure(application, "[workers]", "count = 2")
    hello.listen()
    hello.start()
    before = hello.pids()
    hello.kill(hello.main_pid())
    wait_for(lambda: not before & hello.processes(), what="all processes have ended")

    assert hello.get("/").status == 200, "the connection waits in the socket that systemd holds"
    assert hello.property("NRestarts") == "1"


def test_without_systemd_the_workers_of_a_killed_supervisor_end_by_themselves(hello: Instance) -> None:
    # KillMode=none takes systemd's hand away from the workers, so that only their own watchfulness is left.
    hello.drop_in(hello.service, "[Service]\nKillMode=none\nRestart=no\n")
    hello.configure("flask_probe:app", "[workers]", "count = 2")
    hello.listen()
    hello.start()
    hello.kill(hello.main_pid())

    wait_for(lambda: hello.pids() == set(), what="the workers and the zygote have ended")
