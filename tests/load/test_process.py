from __future__ import annotations

import pytest

from tests.load.plan import BLOCKING, THREADED, Plan
from tests.load.process import Load, LoadError
from tests.load.report import Closing, Ending, Failure, Outcome, Phase, Report, Server
from tests.serving import serve

FEW = Plan(rate=100, shared=2, idle=1)


@pytest.mark.parametrize(
    ("application", "threads", "plan"),
    [("mix_wsgi", 1, BLOCKING), ("mix_wsgi", 4, THREADED), ("mix_asgi", 1, Plan())],
)
def test_the_applications_answer_the_whole_mix(application, threads, plan):
    name = f"tests.load.apps.{application}:application"
    with serve(name, threads=threads, workers=2) as server, Load(server.address, plan) as load:
        load.wait_for_requests(300)
        before = load.mark("second")
        load.wait_for_requests(100)
        report = load.stop()

    assert report.faults() == ""
    assert set(report.kinds) == {*plan.weights, "idle"}
    assert report.requests == {Outcome.OK: sum(report.kinds.values())}
    assert before.finished >= 300
    assert list(report.phases) == ["control", "second"]
    assert {server.slot for server in report.served} == {"1", "2"}
    assert {server.release for server in report.served} == {"apps"}


def test_a_restart_without_a_listener_is_seen():
    with serve("tests.load.apps.mix_wsgi:application") as server, Load(server.address, FEW) as load:
        load.wait_for_requests(20)
        assert server.stop() == 0
        load.wait_for_requests(20)
        report = load.stop()

    assert report.endings[Ending.IDLE] >= 1
    assert report.requests[Outcome.REFUSED] >= 1
    assert "refused" in report.faults()


def test_a_client_that_cannot_start_is_not_waited_for():
    with pytest.raises(LoadError, match="ended with status 1"), Load(("127.0.0.1", 1), inside=["false"]):
        pass


def test_a_report_survives_its_way():
    report = Report(
        seconds=1.5,
        requests={"ok": 2, "reset": 1},
        kinds={"get": 2},
        opened=3,
        endings={"busy": 1},
        failures=[Failure(0.5, "one", "get", Outcome.RESET, 4000, "12", "reset by peer")],
        closings=[Closing(0.5, "one", Ending.BUSY, True, 4000, "12")],
        latency={"p50": 0.1},
        phases={"one": Phase(3, 1, 0.2, 0.4, "get", "12")},
        served=[Server("r1", "1", "12", 2, 0.1, 0.4)],
        lag=0.01,
    )
    assert Report.from_json(report.to_json()) == report
    assert (report.failed, report.closed) == (1, 1)
