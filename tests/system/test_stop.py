"""Stopping: what is in flight is finished, what is left is nothing."""

from __future__ import annotations

import pytest

from tests.system.exchange import Answer
from tests.system.gates import Gate
from tests.system.instance import Instance
from tests.system.pairs import one_each
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("application", "threads"), [("flask_probe:app", 1), ("flask_probe:app", 4), ("fastapi_probe:app", 1)]
)
def test_a_request_in_flight_is_finished(hello: Instance, application: str, threads: int) -> None:
    gate = Gate(hello.machine, "/run/gate")
    hello.configure(application, "[workers]", "count = 2", f"threads = {threads}")
    hello.listen()
    hello.start()
    in_flight = hello.request("/gate")

    with gate.held():
        hello.machine.systemctl("stop", "--no-block", hello.service)
        hello.wait_for_state("deactivating")
        wait_for(lambda: "Stopping" in hello.property("StatusText"), what="the supervisor has begun to stop")

    assert in_flight.answer() == Answer(200, "through the gate")
    hello.wait_for_state("inactive")
    assert hello.property("Result") == "success"


def test_a_child_process_of_the_application_is_left_alone_until_its_request_is_finished(
    hello: Instance,
) -> None:
    gate = Gate(hello.machine, "/run/gate")
    hello.configure("flask_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    in_flight = hello.request("/child")

    with gate.held():
        hello.machine.systemctl("stop", "--no-block", hello.service)
        hello.wait_for_state("deactivating")

    assert in_flight.answer() == Answer(200, "the child is through the gate")


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_nothing_is_left_behind(hello: Instance, application: str) -> None:
    hello.configure(application, "[workers]", "count = 2")
    hello.listen()
    hello.start()
    assert hello.get("/").status == 200
    running = hello.pids()
    hello.stop()

    assert hello.property("Result") == "success"
    assert hello.property("ExecMainStatus") == "0"
    assert hello.pids() == set()
    assert not running & hello.processes()
    assert not hello.machine.path("/run/sdserve/hello").exists()
    assert hello.journal("--priority=warning") == ""


def test_an_application_is_told_to_shut_down(hello: Instance) -> None:
    hello.configure("fastapi_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    hello.stop()

    assert "the application has shut down" in hello.journal()


def test_a_request_that_does_not_end_is_cut_off_at_the_drain_timeout(hello: Instance) -> None:
    gate = Gate(hello.machine, "/run/gate")
    hello.configure("flask_probe:app", "[workers]", "count = 1", "drain_timeout = 500ms")
    hello.listen()
    hello.start()
    in_flight = hello.request("/gate")

    with gate.held():
        hello.stop()
        assert hello.property("Result") == "success"
        assert hello.pids() == set()
        with pytest.raises(ConnectionError):
            in_flight.answer()


def test_connections_made_while_it_stops_are_served_by_the_next_start(hello: Instance) -> None:
    gate = Gate(hello.machine, "/run/gate")
    hello.configure("flask_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    in_flight = hello.request("/gate")

    with gate.held():
        hello.machine.systemctl("stop", "--no-block", hello.service)
        hello.wait_for_state("deactivating")
        late = hello.request("/")

    assert in_flight.answer().text == "through the gate"
    assert late.answer().text == "flask"
