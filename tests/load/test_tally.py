from __future__ import annotations

from tests.load import report as report_module
from tests.load import tally as tally_module
from tests.load.answers import Answer
from tests.load.plan import GET, Plan
from tests.load.report import Closing, Ending, Failure, Outcome, Server
from tests.load.requests import Request, RequestMaker
from tests.load.tally import Tally

BEGAN = 100.0


def answer(*, release: str = "r1", pid: str = "12") -> Answer:
    return Answer(200, {"x-release": release, "x-slot": "1", "x-pid": pid}, b"")


def request(*, due: float = BEGAN, begun: float = BEGAN, own: float = 0.0, phase: str = "one") -> Request:
    made = RequestMaker(Plan()).make(GET, due=due, now=begun, phase=phase)
    made.own = own
    return made


def test_latency_counts_from_when_a_request_was_due_and_a_stall_from_when_it_was_sent():
    tally = Tally(BEGAN)
    tally.answered(request(due=101.0, begun=102.0, own=0.5), answer(), 104.5)
    report = tally.report(105.0)
    phase = report.phases["one"]

    assert report.latency["max"] == 3.0
    assert (phase.stall, phase.stall_at, phase.stall_kind, phase.stall_pid) == (2.0, 4.5, GET, "12")
    assert report.lag == 1.0
    assert report.seconds == 5.0


def test_the_distribution_is_that_of_all_answers():
    tally = Tally(BEGAN)
    for number in range(101):
        tally.answered(request(), answer(), BEGAN + number)

    assert tally.report(BEGAN).latency == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}


def test_who_has_answered_is_known():
    tally = Tally(BEGAN)
    tally.answered(request(), answer(release="r1", pid="1"), 101.0)
    tally.answered(request(), answer(release="r2", pid="2"), 102.0)
    tally.answered(request(), answer(release="r1", pid="1"), 103.0)

    assert tally.report(BEGAN).served == [
        Server("r1", "1", "1", requests=2, first=1.0, last=3.0),
        Server("r2", "1", "2", requests=1, first=2.0, last=2.0),
    ]


def test_failures_and_closings_are_listed_and_counted():
    tally = Tally(BEGAN)
    tally.phase = "two"
    tally.answered(request(), answer(), 101.0)
    tally.failure(request(phase="one"), Outcome.RESET, 102.0, port=5, pid="7", text="why")
    tally.closing(Ending.BUSY, 102.0, reset=True, port=5, pid="7")

    counts = tally.counts(103.0, settled=102.5)
    assert counts == {"at": 3.0, "finished": 2, "failed": 1, "closed": 1, "settled": 2.5}
    report = tally.report(103.0)
    assert report.requests == {"ok": 1, "reset": 1}
    assert report.endings == {"busy": 1}
    assert report.failures == [Failure(2.0, "one", GET, Outcome.RESET, 5, "7", "why")]
    assert report.closings == [Closing(2.0, "two", Ending.BUSY, True, 5, "7")]
    assert report.phases["one"].failed == 1
    assert "why" in report.faults()


def test_lists_are_bounded_and_counts_are_not(monkeypatch):
    monkeypatch.setattr(tally_module, "MOST_LISTED", 3)
    tally = Tally(BEGAN)
    for _ in range(report_module.MOST_SAID):
        tally.failure(request(), Outcome.CLOSED, 101.0, port=5, pid="7", text="")
        tally.closing(Ending.IDLE, 101.0, reset=False, port=5, pid="7")
    report = tally.report(101.0)

    assert (len(report.failures), len(report.closings)) == (3, 3)
    assert (report.failed, report.closed) == (report_module.MOST_SAID, report_module.MOST_SAID)
