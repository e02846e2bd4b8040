"""Whole servers that bind their own sockets, started as somebody at a terminal starts them."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress

import pytest

from sdserve.host.control_client import call
from sdserve.host.fds import Fd
from sdserve.host.scoreboard import Scoreboard
from tests.notify_socket import NotifySocket
from tests.run.installed import Installed
from tests.serving import PASS_SOCKETS, ROOT, TIMEOUT, Server, descendants

APPLICATION = "tests.run.application:application"
SOURCE = """\
import json, os
RELEASE = "{release}"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({{"release": RELEASE, "pid": os.getpid(), "cwd": os.getcwd()}}).encode()]
"""


@pytest.fixture
def run(tmp_path):
    """Starts `sdserve run`, by `program`; whatever is left of it is gone after the test."""
    started = []

    @contextmanager
    def run(*arguments, wrapper=(), program=(sys.executable, "-m", "sdserve"), keeper=None, **popen):
        """`keeper`: a service manager that keeps descriptors, and passes on what it has."""
        notifications = keeper or NotifySocket()
        notifications.messages.clear()
        kept = keeper.store if keeper else []
        if kept:
            names, numbers = zip(*kept, strict=True)
            passed = [",".join(map(str, numbers)), ":".join(names)]
            wrapper = [sys.executable, "-ISs", PASS_SOCKETS, *passed, *wrapper]
            popen["pass_fds"] = numbers
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [*wrapper, *program, "run", *arguments],
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": notifications.address,
                    # Where its control socket is: another server of the name may run on this machine.
                    "RUNTIME_DIRECTORY": str(tmp_path),
                    **({"FDSTORE": "100"} if keeper else {}),
                },
                **{"cwd": ROOT, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **popen},
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


@pytest.fixture
def release(tmp_path):
    """Makes a release of an application that tells its name, and has `current` point to it."""

    def release(name, source=SOURCE):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "shop.py").write_text(source.format(release=name))
        (tmp_path / "new").symlink_to(name)
        (tmp_path / "new").rename(tmp_path / "current")

    return release


@pytest.fixture
def shop(tmp_path, run, release):
    """A server of an INI file, called `shop`, that has started with the release `one`."""
    release("one")
    configure(tmp_path)
    with run(str(tmp_path / "shop.ini")) as server:
        server.wait_until_ready()
        yield server
        server.stop()


def configure(tmp_path, *lines, application="shop:application"):
    text = [
        "[app]",
        f"application = {application}",
        f"directory = {tmp_path}/current",
        "[listen:http]",
        f"address = unix:{tmp_path}/web.sock",
        "[workers]",
        "count = 2",
        "boot_timeout = 60s",
        *lines,
    ]
    (tmp_path / "shop.ini").write_text("\n".join(text))


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
            timeout=3 * TIMEOUT,
        )
        return done.returncode, done.stdout.splitlines()

    return command


@pytest.fixture
def status(tmp_path, monkeypatch):
    """Asks the instance for its status."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return lambda: call("shop", "Status", timeout=TIMEOUT)["status"]


def pids(state):
    return {worker["pid"] for worker in state["workers"] if worker["state"] == "ready"}


@pytest.fixture
def installed(tmp_path):
    return Installed(tmp_path / "installed")


@pytest.fixture
def started(tmp_path, run, release, installed):
    """Starts `shop` with the release `one` by the installed program."""

    @contextmanager
    def started(*lines, target=f"{tmp_path}/shop.ini", program=(str(installed.script),), **popen):
        release("one")
        configure(tmp_path, *lines)
        with (
            run(target, program=program, **popen) as server,
            server.notifications.read_all_the_time(),
        ):
            server.wait_until_ready()
            yield server
            print(server.stderr())  # shown if it failed
            assert server.stop() == 0

    return started


@pytest.fixture
def upgrade(tmp_path):
    """Starts `sdserve upgrade shop` or another command; a process whose output is both streams'."""

    def upgrade(command="upgrade", *options):
        return subprocess.Popen(
            [sys.executable, "-m", "sdserve", command, "shop", *options],
            cwd=ROOT,
            env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return upgrade
