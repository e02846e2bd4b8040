"""From measurements to a table and verdicts. Pure: nothing here runs or prints anything."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.bench.cases import Case, Target
from tests.bench.wrk import Measurement

Results = dict[tuple[str, str], list[Measurement]]
"""(case, server) -> one measurement a round, in the order of the rounds."""

QUIET = 0.05
"""The share of the server's core that other programs may use without being mentioned."""

HEADER = """\
| Case | Server | Requests/s | lowest to highest | p50 | p99 | CPU/request | sdserve is | by CPU |
|---|---|--:|--:|--:|--:|--:|--:|--:|"""


def ratios(results: Results, case: str, peer: str) -> list[float]:
    """sdserve's rate over the peer's, round by round: neighbours in time share the machine's mood."""
    ours, theirs = results[case, "sdserve"], results[case, peer]
    return [mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)]


def cpu_ratios(results: Results, case: str, peer: str) -> list[float]:
    """The same, from the processor time of a request: what others do on the machine hardly matters to it."""
    ours, theirs = results[case, "sdserve"], results[case, peer]
    return [other.cost / mine.cost for mine, other in zip(ours, theirs, strict=True)]


def table(results: Results, cases: Sequence[Case]) -> str:
    """A Markdown table, one row a case and server."""
    return "\n".join([HEADER, *(row(results, case, server) for case in cases for server in case.servers)])


def row(results: Results, case: Case, server: str) -> str:
    runs = results[case.name, server]
    rates = [run.rate for run in runs]
    compared = server != "sdserve"
    columns = (
        case.name,
        server,
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f} to {max(rates):,.0f}",
        milliseconds(median(run.p50 for run in runs)),
        milliseconds(median(run.p99 for run in runs)),
        f"{median(run.cost for run in runs) * 1e6:.1f} µs",
        spread(ratios(results, case.name, server)) if compared else "",
        spread(cpu_ratios(results, case.name, server)) if compared else "",
    )
    return f"| {' | '.join(columns)} |"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} x ({min(values):.2f} to {max(values):.2f})"


def verdict(results: Results, target: Target) -> tuple[bool, str]:
    """Whether the target is reached by the median, and the line that says so."""
    found = ratios(results, target.case, target.peer)
    passed = median(found) >= target.ratio
    word = "PASS" if passed else "FAIL"
    line = f"{word} {target.case}: {spread(found)} {target.peer}, wanted {target.ratio:g} x"
    others = disturbance(results, target)
    if others > QUIET:
        by_cpu = spread(cpu_ratios(results, target.case, target.peer))
        line += f"; other programs used {others:.0%} of the core, by CPU it is {by_cpu}"
    return passed, line


def disturbance(results: Results, target: Target) -> float:
    """The share of the core that other programs used while the two were measured."""
    runs = results[target.case, "sdserve"] + results[target.case, target.peer]
    return median(run.others for run in runs)


def idle_verdict(thread: str, rate: float, limit: float) -> tuple[bool, str]:
    """Whether an idle thread sleeps long enough (rate and limit in wake-ups a second)."""
    passed = rate <= limit
    word = "PASS" if passed else "FAIL"
    return passed, f"{word} idle: {rate:.1f} wake-ups a second, at most {limit:g} wanted, {thread}"
