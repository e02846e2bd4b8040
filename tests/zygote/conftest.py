"""A zygote process as the supervisor sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sdserve import __version__
from sdserve.config import codec
from sdserve.config.model import Configuration, LogOptions
from sdserve.core import wire
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.host import channel, process
from sdserve.host.mailbox import Mailbox
from sdserve.host.scoreboard import Scoreboard

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).with_name("stand_in.py")
TIMEOUT = 20.0  # seconds until a test that hangs fails


class ZygoteProcess:
    """Speaks the supervisor's part, one domain verb a method."""

    def __init__(self, directory):
        self.directory = directory
        self.scoreboard = Scoreboard.create(4)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.mailbox = Mailbox.make()
        self.channel, theirs = channel.pair()
        self.channel.socket.settimeout(TIMEOUT)
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(STAND_IN), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )
        theirs.close()
        self.workers = {}

    def open(self, application="serve", *, preload=False, descriptors=None, **fields):
        configuration = Configuration(
            name="test",
            app=AppOptions(application=application, preload=preload),
            listen=(),
            fleet=FleetOptions(),
            workers=WorkerOptions(),
            http=HttpOptions(),
            websocket=WebSocketOptions(),
            log=LogOptions(),
        )
        defaults = {
            "protocol": wire.PROTOCOL,
            "version": __version__,
            "generation": 3,
            "since_ns": 12,
            "configuration": codec.encode(configuration),
            "directory": str(self.directory),
            "listeners": ("web",),
        }
        if descriptors is None:
            descriptors = [
                self.scoreboard.memory.fileno(),
                self.listener.fileno(),
                self.mailbox.outlet.fileno(),
            ]
        self.channel.send(wire.Open(**{**defaults, **fields}), descriptors)
        return self.receive()

    def fork(self, serial=5, slot=1):
        """Ask for a worker; the zygote's answer."""
        ours, theirs = channel.pair()
        ours.socket.settimeout(TIMEOUT)
        self.channel.send(wire.ForkWorker(generation=3, serial=serial, slot=slot, row=2), [theirs.fileno()])
        theirs.close()
        answer = self.receive()
        if isinstance(answer, wire.Forked):
            self.workers[answer.pid] = ours
        else:
            ours.close()
        return answer

    def receive(self):
        received = self.channel.receive()
        return received and received.message

    def hear(self, pid):
        """The next message of a worker."""
        received = self.workers[pid].receive()
        return received and received.message

    def ask(self):
        """What the worker that answers next says about itself."""
        client = socket.create_connection(self.listener.getsockname(), timeout=TIMEOUT)
        with client, client.makefile("rb") as answer:
            return json.load(answer)

    def exit_of(self, pid):
        """Wait for a worker, which only works for our own child."""
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self):
        """Let go; its exit code and what it and its workers wrote to standard error."""
        self.channel.close()
        _, errors = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, errors.decode()

    def discard(self):
        for pid, ours in self.workers.items():
            ours.close()
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self.channel.close()
        self.process.kill()
        self.process.communicate()
        self.listener.close()
        self.mailbox.close()
        self.scoreboard.memory.close()


@pytest.fixture
def zygote(tmp_path):
    process.become_subreaper()
    started = ZygoteProcess(tmp_path)
    yield started
    started.discard()
    process._prctl(process._PR_SET_CHILD_SUBREAPER, 0)
