"""Whole servers that bind their own sockets, started as somebody at a terminal starts them."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress

import pytest

from sdserve.host.control_client import call
from sdserve.host.fds import Fd
from sdserve.host.scoreboard import Scoreboard
from tests.notify_socket import NotifySocket
from tests.serving import ROOT, TIMEOUT, Server, descendants

APPLICATION = "tests.run.application:application"


@pytest.fixture
def run(tmp_path):
    """Starts `sdserve run` with arguments; whatever is left of it is gone after the test."""
    started = []

    @contextmanager
    def run(*arguments, wrapper=(), **popen):
        notifications = NotifySocket()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [*wrapper, sys.executable, "-m", "sdserve", "run", *arguments],
                cwd=ROOT,
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": notifications.address,
                    # Where its control socket is: another server of the name may run on this machine.
                    "RUNTIME_DIRECTORY": str(tmp_path),
                },
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **popen},
            )
            server = Server(process, f"{tmp_path}/web.sock", notifications, log)
            started.append(server)
            try:
                yield server
            except BaseException as error:
                error.add_note(f"standard error of the server:\n{server.stderr()}")
                raise

    yield run
    for server in started:
        below = descendants(server.process.pid) if server.process.poll() is None else []
        server.discard()
        server.notifications.close()
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)


@pytest.fixture
def serve(run, tmp_path):
    """Starts a server on a unix socket of its own and waits until it is ready."""

    @contextmanager
    def serve(*arguments, application=APPLICATION, **popen):
        with run(application, "--bind", f"unix:{tmp_path}/web.sock", *arguments, **popen) as server:
            server.wait_until_ready()
            yield server

    return serve


@pytest.fixture
def command(tmp_path):
    """Runs a command to the instance; exit code and lines of standard output and standard error together."""

    def command(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "sdserve", *arguments],
            cwd=ROOT,
            env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            timeout=TIMEOUT,
        )
        return done.returncode, done.stdout.splitlines()

    return command


@pytest.fixture
def status(tmp_path, monkeypatch):
    """Asks the instance for its status."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return lambda: call("shop", "Status", timeout=TIMEOUT)["status"]


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)
    return found


def ask(server, target="/"):
    """What a worker says about itself."""
    return server.request("GET", target).json


def wait_until_gone(pidfds):
    """Return when all processes have ended."""
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], TIMEOUT)[0], "a process was left behind"
        os.close(pidfd)


def read_scoreboard(server):
    """The scoreboard of a running server, as an onlooker sees it."""
    directory = f"/proc/{server.process.pid}/fd"
    for name in os.listdir(directory):
        if "sdserve-scoreboard" in os.readlink(f"{directory}/{name}"):
            return Scoreboard(Fd(os.open(f"{directory}/{name}", os.O_RDWR)))
    raise AssertionError("there is no scoreboard")
