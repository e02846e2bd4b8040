"""A real sdserve for a test: its own processes, its own socket, systemd's protocols.

    with serve("tests.frameworks.apps.flask_site:app", threads=4) as server:
        assert server.request("GET", "/hello").text == "Hello, world!"

The listener is bound here, on a port picked by the kernel, and passed as systemd does it (LISTEN_FDS),
so no port is ever guessed; the server is known to answer when it says so itself (READY=1), so nothing is
asked twice. At the end the server gets SIGTERM and must leave in order: exit code 0, no process left, no
traceback that was not expected.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sdserve.supervisor.observe import REPEAT
from tests.notify_socket import NotifySocket

ROOT = Path(__file__).parent.parent
PASS_SOCKETS = Path(__file__).with_name("pass_sockets.py")
LISTENER = "http"
"""The name of the listener that --bind makes."""
TIMEOUT = 20.0
"""Seconds for anything a test waits for: not a measure of speed, but the end of a hang."""


class ServerEndedError(AssertionError):
    """The server ended before it was ready. `status` is its exit status, `stderr` what it wrote."""

    def __init__(self, status: int, stderr: str) -> None:
        super().__init__(f"ended with status {status} before it was ready:\n{stderr}")
        self.status = status
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def field_values(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def field(self, name: str) -> str | None:
        """The one value of a field; None without it."""
        values = self.field_values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


class Connection(http.client.HTTPConnection):
    """A client of `http.client` on a socket that is already connected; it never connects again by itself."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("localhost")
        self.auto_open = 0
        self.sock = connected

    def exchange(
        self,
        method: str,
        target: str,
        body: Any = None,
        fields: Mapping[str, str] | None = None,
    ) -> Response:
        """One request and its whole answer. A body that is an iterable of pieces is sent chunked."""
        chunked = body is not None and not isinstance(body, bytes | str)
        more = {"Transfer-Encoding": "chunked"} if chunked else {}
        self.request(method, target, body, {**more, **(fields or {})}, encode_chunked=chunked)
        answer = self.getresponse()
        return Response(answer.status, tuple(answer.getheaders()), answer.read())


class Server:
    """A running server, as a test sees it."""

    def __init__(
        self, process: subprocess.Popen[bytes], address: Any, notifications: NotifySocket, log: IO[bytes]
    ) -> None:
        self.process = process
        self.address = address
        """What to connect to: (host, port), or the path of a unix socket."""
        self.notifications = notifications
        self._log = log
        self._pidfd = os.pidfd_open(process.pid)

    def connect(self) -> socket.socket:
        """A new connection, as a plain socket."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        client = socket.socket(family)
        client.settimeout(TIMEOUT)
        client.connect(self.address)
        if family == socket.AF_INET:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A new connection for several requests, closed at the end."""
        client = Connection(self.connect())
        try:
            yield client
        finally:
            client.close()

    def request(
        self, method: str, target: str, body: Any = None, fields: Mapping[str, str] | None = None
    ) -> Response:
        """One request on a connection of its own."""
        with self.connection() as client:
            return client.exchange(method, target, body, fields)

    def wait_until_ready(self) -> None:
        """Return when it answers. ServerEndedError if it never will."""
        if not self.notifications.wait_for(
            lambda name, value: (name, value) == ("READY", "1"), pidfd=self._pidfd, timeout=TIMEOUT
        ):
            raise ServerEndedError(self.process.wait(), self.stderr())

    def wait_for_status(self, pattern: str) -> None:
        """Return when a STATUS= line matches the pattern (also one of the past)."""
        met = self.notifications.wait_for(
            lambda name, value: name == "STATUS" and re.search(pattern, value) is not None,
            pidfd=self._pidfd,
            timeout=TIMEOUT,
        )
        assert met, f"ended without a STATUS like {pattern!r}: {self.notifications.messages}"

    def stderr(self) -> str:
        """Everything it and its workers have written so far."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode()

    def insist(self) -> None:
        """Ask a second time for the end, a moment after the first: an echo of a signal does not count."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(REPEAT)
        self.process.terminate()

    def stop(self) -> int:
        """End it as systemd does, unless it has ended; the exit status. No process of it may be left."""
        if self.process.returncode is not None:
            return self.process.returncode
        below = []
        for pid in descendants(self.process.pid):
            with suppress(ProcessLookupError):  # one that was about to end has ended
                below.append(os.pidfd_open(pid))
        try:
            self.process.terminate()
            status = self.process.wait(TIMEOUT)
            assert all(select.select([pidfd], [], [], TIMEOUT)[0] for pidfd in below), (
                "a process was left behind"
            )
        finally:
            for pidfd in below:
                os.close(pidfd)
        return status

    def discard(self) -> None:
        """Whatever happened before: nothing of it stays."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._pidfd)


@contextmanager
def serve(
    application: str,
    *,
    workers: int = 1,
    threads: int = 1,
    interface: str = "auto",
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    unix: bool = False,
    tracebacks: Collection[str] = (),
) -> Iterator[Server]:
    """Run sdserve until the block ends, and check that it leaves in order.

    `settings` are those of --set: {"http.parser": "h11"}. `tracebacks` are the names of exceptions whose
    tracebacks are expected. ServerEndedError if it does not become ready.
    """
    command = [sys.executable, "-m", "sdserve", "run", application, "--interface", interface]
    command += ["--workers", str(workers), "--threads", str(threads)]
    # Makes [listen:http]; the address is that of the socket that is passed.
    command += ["--bind", "127.0.0.1:0"]
    for option, value in (settings or {}).items():
        command += ["--set", f"{option}={value}"]
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as log:
        with listener(f"{directory}/socket" if unix else ("127.0.0.1", 0)) as listening:
            notifications = NotifySocket()
            address = listening.getsockname()
            # Where its control socket is: another server of the name may run on this machine.
            own = {"RUNTIME_DIRECTORY": directory, **(environment or {})}
            process = start([listening], command, notifications, log, own)
        server = Server(process, address, notifications, log)
        try:
            server.wait_until_ready()
            yield server
            assert server.stop() == 0, f"exit status {process.returncode}:\n{server.stderr()}"
            unexpected = [name for name in exceptions_in(server.stderr()) if name not in tracebacks]
            assert not unexpected, f"{unexpected}:\n{server.stderr()}"
        except BaseException as error:
            error.add_note(f"standard error of the server:\n{server.stderr()}")
            raise
        finally:
            server.discard()
            notifications.close()


def listener(address: Any) -> socket.socket:
    """A listening socket on a unix path or a (host, port)."""
    listening = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    listening.bind(address)
    listening.listen(1024)
    return listening


def start(
    listeners: list[socket.socket],
    command: list[str],
    notifications: NotifySocket,
    log: IO[bytes],
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start the command as systemd would, with the listeners passed to it."""
    numbers = [listening.fileno() for listening in listeners]
    names = ":".join(LISTENER for _ in listeners)
    inherited = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    return subprocess.Popen(
        [sys.executable, "-ISs", PASS_SOCKETS, ",".join(map(str, numbers)), names, *command],
        cwd=ROOT,
        env={**inherited, "NOTIFY_SOCKET": notifications.address, **environment},
        pass_fds=numbers,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )


def descendants(pid: int) -> list[int]:
    """All processes below this one; one that ends meanwhile has none."""
    children = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return children + [below for child in children for below in descendants(child)]


def wait_until(condition: Callable[[], Any]) -> Any:
    """What the condition gives as soon as that is true."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)
    return found


def exceptions_in(log: str) -> list[str]:
    """The names (without their modules) of the exceptions whose tracebacks are in the log."""
    names = []
    # The parts of an exception group are drawn with bars.
    lines = (re.sub(r"^ *[|+] ", "", line) for line in log.splitlines())
    for line in lines:
        if "Traceback (most recent call last):" in line:
            end = next((text for text in lines if indent(text) <= indent(line)), "")
            names.append(re.split(r"[:\s]", end.strip())[0].rpartition(".")[2])
    return names


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
