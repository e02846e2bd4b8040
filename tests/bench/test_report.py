"""The arithmetic of the benchmark, on invented measurements."""

from __future__ import annotations

import pytest

from tests.bench import report
from tests.bench.cases import CASES, TARGETS, Case, Target
from tests.bench.servers import COMMANDS, BenchError, Running
from tests.bench.wrk import Load, Measurement, measurement, parse

CASE = Case(name="hello", application="a:b", interface="asgi", servers=("sdserve", "peer"))
TARGET = Target(case="hello", peer="peer", ratio=2.0)


def runs(*rates, others=0.0):
    return [Measurement(rate=rate, cost=1 / rate, others=others, p50=0.001, p99=0.0025) for rate in rates]


def results(ours, theirs, *, others=0.0):
    return {("hello", "sdserve"): runs(*ours, others=others), ("hello", "peer"): runs(*theirs, others=others)}


def result_line(**changes):
    values = {
        "requests": 50_000,
        "microseconds": 2_000_000,
        "p50": 500,
        "p99": 1500,
        "socket_errors": 0,
        "timeouts": 0,
        "bad_statuses": 0,
    }
    members = ", ".join(f'"{name}": {value}' for name, value in (values | changes).items())
    return f"Running 2s test\nRESULT {{{members}}}\n"


def test_a_ratio_compares_runs_of_the_same_round():
    assert report.ratios(results([100, 300], [50, 100]), "hello", "peer") == [2.0, 3.0]


def test_the_median_decides_not_one_lucky_round():
    assert report.verdict(results([100, 100, 900], [60, 60, 60]), TARGET)[0] is False
    assert report.verdict(results([130, 130, 10], [60, 60, 60]), TARGET)[0] is True


def test_a_verdict_says_what_was_found_and_what_was_wanted():
    _, line = report.verdict(results([90, 100, 120], [100, 100, 100]), TARGET)
    assert line == "FAIL hello: 1.00 x (0.90 to 1.20) peer, wanted 2 x"


def test_a_verdict_of_a_busy_machine_says_so():
    _, line = report.verdict(results([90, 90, 90], [100, 100, 100], others=0.3), TARGET)
    assert line.endswith(
        "wanted 2 x; other programs used 30% of the core, by CPU it is 0.90 x (0.90 to 0.90)"
    )


def test_the_table_has_a_row_for_every_server():
    lines = report.table(results([90, 100, 1200], [100, 100, 100]), [CASE]).splitlines()
    ours, theirs = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    assert ours == ["hello", "sdserve", "100", "90 to 1,200", "1.00 ms", "2.50 ms", "10000.0 µs", "", ""]
    ratio = "1.00 x (0.90 to 12.00)"
    assert theirs == [
        "hello", "peer", "100", "100 to 100", "1.00 ms", "2.50 ms", "10000.0 µs", ratio, ratio,
    ]  # fmt: skip


def test_an_idle_thread_may_wake_as_often_as_the_limit_says():
    assert report.idle_verdict("thread 1", 2.0, 2.0)[0] is True
    assert report.idle_verdict("thread 1", 2.1, 2.0)[0] is False


def test_the_result_of_wrk_is_read_in_seconds():
    found = measurement(parse(result_line()), server=1.0, core=1.5)
    assert found == Measurement(rate=25_000.0, cost=0.00002, others=0.25, p50=0.0005, p99=0.0015)


@pytest.mark.parametrize("failure", ["socket_errors", "timeouts", "bad_statuses"])
def test_a_run_with_one_failed_request_is_refused(failure):
    with pytest.raises(BenchError, match=f"'{failure}': 1"):
        measurement(parse(result_line(**{failure: 1})), server=1.0, core=1.5)


def test_a_run_without_any_request_is_refused():
    with pytest.raises(BenchError, match="0 requests"):
        measurement(parse(result_line(requests=0)), server=1.0, core=1.5)


def test_output_without_a_result_is_refused():
    with pytest.raises(BenchError, match="no result"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_the_load_of_a_post_names_its_size_last():
    case = Case(name="post", application="a:b", interface="asgi", servers=("sdserve",), body_size=1024)
    load = Load(case=case, server=Running(port=80, pid=1, core=1), core=0, connections=2)
    assert load.command(3)[-3:] == ["http://127.0.0.1:80/", "--", "1024"]


def test_every_case_begins_with_sdserve_and_names_known_servers():
    for case in CASES:
        assert case.servers[0] == "sdserve"
        assert set(case.servers) <= set(COMMANDS)


def test_every_target_is_measured():
    measured = {(case.name, server) for case in CASES for server in case.servers}
    assert {(target.case, target.peer) for target in TARGETS} <= measured
