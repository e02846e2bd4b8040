"""The servers that take part: how each is started with one worker on one core, checked, and ended."""

from __future__ import annotations

import atexit
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.bench.cases import Case
from tests.certificates import Authority

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A server did not start, answered wrongly, or failed requests: its figures would mean nothing."""


@cache
def certificate() -> str:
    """The file of a certificate for 127.0.0.1 with its key, made once a run: P-256, as most are."""
    directory = tempfile.mkdtemp(prefix="sdserve-bench-")
    atexit.register(shutil.rmtree, directory)
    files = Authority(Path(directory)).issue("127.0.0.1")
    both = Path(directory, "both.pem")
    both.write_text(Path(files.key).read_text() + Path(files.certificate).read_text())
    return str(both)


def sdserve(case: Case, port: int) -> list[str]:
    options = ["--workers", "1", "--threads", str(case.threads), "--interface", case.interface]
    if case.tls:
        options += ["--set", f"listen:http.certificate={certificate()}"]
    return ["sdserve", "run", case.application, "--bind", f"127.0.0.1:{port}", *options]


def uvicorn(case: Case, port: int) -> list[str]:
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    if case.tls:
        options += ["--ssl-certfile", certificate(), "--ssl-keyfile", certificate()]
    return ["uvicorn", case.application, "--host", "127.0.0.1", "--port", str(port), *options]


def granian(case: Case, port: int) -> list[str]:
    options = ["--interface", case.interface, "--http", "1", "--no-access-log", "--workers", "1"]
    options.append("--ws" if case.message_size else "--no-ws")
    if case.interface == "asgi":
        options += ["--loop", "uvloop"]
    else:
        options += ["--blocking-threads", str(case.threads)]
    if case.tls:
        options += ["--ssl-certificate", certificate(), "--ssl-keyfile", certificate()]
    return ["granian", case.application, "--host", "127.0.0.1", "--port", str(port), *options]


def gunicorn(worker: str, threads: int = 1) -> Callable[[Case, int], list[str]]:
    def command(case: Case, port: int) -> list[str]:
        options = ["--worker-class", worker, "--threads", str(threads), "--workers", "1"]
        options += ["--no-control-socket", "--log-level", "warning"]
        if case.tls:
            options += ["--certfile", certificate(), "--keyfile", certificate()]
        return ["gunicorn", case.application, "--bind", f"127.0.0.1:{port}", *options]

    return command


COMMANDS: dict[str, Callable[[Case, int], list[str]]] = {
    "sdserve": sdserve,
    "uvicorn": uvicorn,
    "granian asgi": granian,
    "granian wsgi": granian,
    "gunicorn asgi": gunicorn("asgi"),
    "gunicorn gthread 1": gunicorn("gthread", 1),
    "gunicorn gthread 8": gunicorn("gthread", 8),
}


def versions() -> str:
    """One line that says which versions were compared."""
    names = ("uvicorn", "httptools", "websockets", "uvloop", "granian", "gunicorn")
    return ", ".join(f"{name} {version(name)}" for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers."""

    port: int
    pid: int
    """The main process."""
    core: int
    """The processor that it runs on."""

    def cpu_seconds(self) -> float:
        """Processor time that all its processes have used so far, in user space and in the kernel."""
        return sum(ticks(process) for process in processes_of(self.pid)) / TICKS_PER_SECOND

    def core_seconds(self) -> float:
        """Processor time that its core has spent on anything so far, the server itself included."""
        # proc_stat(5): user nice system idle iowait irq softirq steal, then guests, which user includes.
        lines = Path("/proc/stat").read_text().splitlines()
        line = next(line for line in lines if line.startswith(f"cpu{self.core} "))
        spent = [int(field) for field in line.split()[1:9]]
        return (sum(spent) - sum(spent[3:5])) / TICKS_PER_SECOND

    def threads(self) -> Iterator[Path]:
        """The directories in /proc of all threads of all its processes."""
        for process in processes_of(self.pid):
            yield from (process / "task").iterdir()


def processes_of(pid: int) -> Iterator[Path]:
    """The directories in /proc of a process and of everything below it."""
    process = Path(f"/proc/{pid}")
    yield process
    for thread in (process / "task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from processes_of(int(child))


def ticks(process: Path) -> int:
    # proc_pid_stat(5): utime and stime are fields 14 and 15; the name before them may have blanks.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def running(name: str, case: Case, *, core: int) -> Iterator[Running]:
    """The server, answering rightly, on `core`. It is ended in any case."""
    port = free_port()
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-m", *COMMANDS[name](case, port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_until_listening(process, port)
            (verify_echo if case.message_size else verify)(case, port)
            yield Running(port=port, pid=process.pid, core=core)
        except BenchError as error:
            log.seek(0)
            raise BenchError(f"{name}, {case.name}: {error}\n{log.read().decode(errors='replace')}") from None
        finally:
            end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Not all peers can say when they are ready, so this asks every 20 ms."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"ended with status {process.returncode} before it answered")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise BenchError(f"does not listen after {START_TIMEOUT:g} s")


def trusting() -> ssl.SSLContext:
    """What a client needs to speak TLS with whoever answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verify(case: Case, port: int) -> None:
    """Two answers on one connection must be right; a server that closes would be measured reconnecting."""
    kind = (
        partial(http.client.HTTPSConnection, context=trusting()) if case.tls else http.client.HTTPConnection
    )
    client = kind("127.0.0.1", port, timeout=START_TIMEOUT)
    body = case.expected if case.body_size else None
    local_addresses = set()
    try:
        for _ in range(2):
            client.request("POST" if body else "GET", "/", body, dict(case.fields))
            local_addresses.add(client.sock.getsockname())
            answer = client.getresponse()
            content = answer.read()
            if answer.status != 200 or content != case.expected:
                raise BenchError(f"answered {answer.status} {content[:200]!r}")
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"failed the trial request: {error!r}") from error
    finally:
        client.close()
    if len(local_addresses) != 1:
        raise BenchError("does not keep the connection alive")


def verify_echo(case: Case, port: int) -> None:
    """Two messages on one connection must come back as they were."""
    message = os.urandom(case.message_size)
    try:
        with connect(f"ws://127.0.0.1:{port}/", compression=None, open_timeout=START_TIMEOUT) as client:
            for _ in range(2):
                client.send(message)
                if client.recv(START_TIMEOUT) != message:
                    raise BenchError("does not send back what it got")
    except (OSError, WebSocketException) as error:
        raise BenchError(f"failed the trial message: {error!r}") from error


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL; whoever is left of its session goes with it."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
