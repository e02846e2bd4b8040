"""`python -m tests.bench`: all servers side by side in one run, then what sdserve must reach.

Exit code 1 if a target is missed, or if any server failed a request: then its figures mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence

from tests.bench import idle, report, servers, wrk
from tests.bench.cases import CASES, TARGETS, Case

WARM_UP_SECONDS = 1  # wrk knows whole seconds only
IDLE = "idle"


def main() -> int:
    options = parse()
    chosen = [case for case in CASES if case.name in options.only]
    try:
        client_core, server_core = cores()
        results = measure_rounds(options, chosen, client_core=client_core, server_core=server_core)
        wakings = idle.measure(server_core) if IDLE in options.only else {}
    except servers.BenchError as error:
        say(str(error))
        return 1
    verdicts = [report.verdict(results, target) for target in TARGETS if target.case in options.only]
    verdicts += [report.idle_verdict(thread, rate, idle.LIMIT) for thread, rate in wakings.items()]
    print(describe(options), report.table(results, chosen), sep="\n\n")
    print("", *(line for _, line in verdicts), sep="\n")
    return 0 if all(passed for passed, _ in verdicts) else 1


def measure_rounds(
    options: argparse.Namespace, cases: Sequence[Case], *, client_core: int, server_core: int
) -> report.Results:
    """Every server of every case once, then all again: what drifts on this machine drifts for everybody."""
    results: report.Results = {(case.name, name): [] for case in cases for name in case.servers}
    for number in range(1, options.rounds + 1):
        for case_name, name in results:
            case = next(case for case in cases if case.name == case_name)
            say(f"round {number} of {options.rounds}: {case_name}, {name}")
            with servers.running(name, case, core=server_core) as server:
                load = wrk.Load(case=case, server=server, core=client_core, connections=options.connections)
                load.run(WARM_UP_SECONDS)
                results[case_name, name].append(load.run(options.seconds))
    return results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = [*(case.name for case in CASES), IDLE]
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--seconds", type=int, default=3, help="of load a server and round")
    parser.add_argument("--connections", type=int, default=32, help="open at the same time")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="CASE", help=", ".join(names)
    )
    return parser.parse_args()


def cores() -> tuple[int, int]:
    """One core for wrk, another one for the server."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise servers.BenchError("a benchmark needs two cores: one for wrk, one for the server")
    return usable[0], usable[-1]


def describe(options: argparse.Namespace) -> str:
    lines = (
        f"{options.rounds} rounds of {options.seconds} s, {options.connections} connections, one worker.",
        f"Linux {platform.release()}, Python {platform.python_version()}, {servers.versions()}.",
    )
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
