"""One run of wrk(1), or of `echo` for WebSocket, from its command line to its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cases import Case
from tests.bench.servers import BenchError, Running

SCRIPT = Path(__file__).with_name("wrk.lua")
MARK = "RESULT "
FAILURES = ("socket_errors", "timeouts", "bad_statuses")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run found. Latencies in seconds."""

    rate: float
    """Requests per second."""
    cost: float
    """Processor seconds that the server used for one request."""
    others: float
    """The share of the server's core that other processes used meanwhile: 0.0 on a quiet machine."""
    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is to be done to whom, from which core."""

    case: Case
    server: Running
    core: int
    connections: int

    def run(self, seconds: int) -> Measurement:
        """Load the server. Raises BenchError for any failed request: such figures mean nothing."""
        command = self.command(seconds)
        server, core = self.server.cpu_seconds(), self.server.core_seconds()
        # It ends by itself after its duration; the margin is for a server that stopped answering.
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
        if done.returncode:
            raise BenchError(f"the client ended with status {done.returncode}: {done.stderr or done.stdout}")
        server = self.server.cpu_seconds() - server
        core = self.server.core_seconds() - core
        return measurement(parse(done.stdout), server=server, core=core)

    def command(self, seconds: int) -> list[str]:
        command = ["taskset", "--cpu-list", str(self.core)]
        if self.case.message_size:
            numbers = (self.server.port, self.case.message_size, self.connections, seconds)
            return [*command, sys.executable, "-m", "tests.bench.echo", *map(str, numbers)]
        command += ["wrk", "--threads", "1", "--timeout", "10s"]
        command += ["--connections", str(self.connections), "--duration", f"{seconds}s"]
        command += ["--script", str(SCRIPT)]
        for name, value in self.case.fields:
            command += ["--header", f"{name}: {value}"]
        command.append(f"{'https' if self.case.tls else 'http'}://127.0.0.1:{self.server.port}/")
        if self.case.body_size:
            command += ["--", str(self.case.body_size)]
        return command


def parse(output: str) -> dict[str, int]:
    """The result that the script printed."""
    lines = [line.removeprefix(MARK) for line in output.splitlines() if line.startswith(MARK)]
    if len(lines) != 1:
        raise BenchError(f"the client printed no result:\n{output}")
    result: dict[str, int] = json.loads(lines[0])
    return result


def measurement(result: dict[str, int], *, server: float, core: float) -> Measurement:
    """From wrk's result, and the processor seconds of the server and of everybody on its core."""
    failures = {name: result[name] for name in FAILURES if result[name]}
    if failures or not result["requests"]:
        raise BenchError(f"{result['requests']} requests, failures: {failures}")
    return Measurement(
        rate=result["requests"] / result["microseconds"] * 1e6,
        cost=server / result["requests"],
        others=max(0.0, core - server) / result["microseconds"] * 1e6,
        p50=result["p50"] / 1e6,
        p99=result["p99"] / 1e6,
    )
