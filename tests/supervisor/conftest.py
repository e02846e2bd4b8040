"""The supervisor's parts in this process, with real zygotes and workers below it."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from sdserve.config import codec
from sdserve.config.model import Configuration, Listener, LogOptions
from sdserve.core.fleet import effects, events
from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.host import binding, channel, process
from sdserve.host.addresses import parse
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.signals import Signals
from sdserve.supervisor import observe
from sdserve.supervisor.house import ROWS, House, Prepared, Program, Worker
from sdserve.supervisor.perform import perform
from tests.notify_socket import NotifySocket
from tests.supervisor.keeping import Clients, begin

STAND_IN = Path(__file__).parents[1] / "zygote" / "stand_in.py"
PREPARER = Path(__file__).with_name("preparer.py")
TIMEOUT = 20.0  # seconds until a test that hangs fails


class Supervisor:
    """Gives orders as the fleet does and collects what happens."""

    def __init__(self, house):
        self.house = house
        self.pending = []

    def order(self, effect):
        """Carry out an effect; what failed at once."""
        return perform(self.house, effect)

    def wait_for(self, *kinds):
        """The next event of one of these kinds; the others before it are dropped."""
        deadline = monotonic() + TIMEOUT
        while True:
            while self.pending:
                event = self.pending.pop(0)
                if isinstance(event, kinds):
                    return event
            assert monotonic() < deadline, f"no {kinds} came"
            self.pending += observe.wait(self.house, deadline)

    def ask(self):
        """What the worker that answers next says about itself."""
        place = self.house.listeners[0].socket.getsockname()
        with socket.create_connection(place, timeout=TIMEOUT) as client, client.makefile("rb") as answer:
            return json.load(answer)

    def ask_all(self, number):
        """What so many workers say about themselves, each once."""
        found, deadline = {}, monotonic() + TIMEOUT
        while len(found) < number:
            assert monotonic() < deadline, f"only {list(found)} answer"
            about = self.ask()
            found[about["serial"]] = about
        return list(found.values())


def make_configuration(directory, application="serve", **options):
    """A configuration of one TCP listener."""
    return Configuration(
        name="test",
        app=AppOptions(application=application, directory=str(directory), **options),
        listen=(Listener(name="web", addresses=("127.0.0.1:0",)),),
        fleet=FleetOptions(),
        workers=WorkerOptions(),
        http=HttpOptions(),
        websocket=WebSocketOptions(),
        log=LogOptions(),
        environment={"FROM_CONFIGURATION": "yes"},
    )


def preparer(configuration, what="good", /, **answer):
    """A program whose preparer finds `configuration`, unless `what` or `answer` says another thing."""
    found = Prepared.of(configuration)
    if what in ("good", "chatty"):
        answer = {
            "identity": "this",
            "description": "sdserve 1",
            "configuration": codec.encode(configuration),
            "release": dataclasses.asdict(found.release),
            **answer,
        }
    return Program(
        command=(sys.executable, "-P", str(PREPARER)),
        arguments=(what, json.dumps(answer)),
        identity="this",
        description="sdserve 1",
    )


def children():
    """The pids of all children of this process, dead ones included."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


@pytest.fixture
def start(tmp_path):
    """Makes a supervisor of the application; everything below it is gone after the test."""
    process.become_subreaper()
    others = children()
    houses = []

    def start(application="serve", command=("-P", str(STAND_IN)), **options):
        configuration = make_configuration(tmp_path, application, **options)
        houses.append(
            House(
                configuration=configuration,
                program=preparer(configuration),
                fleet=Fleet(options=configuration.fleet),
                prepared={1: Prepared.of(configuration)},
                listeners=[binding.bind("web", parse("127.0.0.1:0"), backlog=10, mode=0)],
                scoreboard=Scoreboard.create(ROWS),
                signals=Signals(observe.SIGNALS),
                zygote_command=command,
            )
        )
        return Supervisor(houses[-1])

    yield start
    for house in reversed(houses):  # each has what the one before it has found of signals
        house.close()
        house.scoreboard.memory.close()
    # Not all children: another directory's server may live through the whole session.
    while mine := children() - others:
        for pid in mine:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    process._prctl(process._PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture
def supervisor(start):
    """A supervisor of an application that serves, with its first generation ordered."""
    started = start()
    assert started.order(effects.OpenGeneration(1)) == []
    return started


@pytest.fixture
def opened(supervisor):
    assert supervisor.wait_for(events.ZygoteReady) == events.ZygoteReady(1)
    return supervisor


@pytest.fixture
def no_descriptors():
    """Leaves this process no descriptor to open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def observed(supervisor, serial):
    """A worker that exists only as the other end of its channel."""
    ours, theirs = channel.pair()
    theirs.socket.settimeout(20)
    row = supervisor.house.take_row()
    worker = Worker(generation=1, serial=serial, slot=1, row=row, channel=ours)
    supervisor.house.admit_worker(worker)
    yield theirs
    theirs.close()
    supervisor.house.forget_worker(worker)


def freeze(pid):
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


@pytest.fixture
def manager(monkeypatch):
    """A service manager that keeps a hundred descriptors."""
    received = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", received.address)
    monkeypatch.setenv("FDSTORE", "100")
    yield received
    received.close()


@pytest.fixture
def clients():
    made = Clients()
    yield made
    made.close()


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "sdserve")
    return caplog


@pytest.fixture
def first(start, manager):
    """A supervisor that has begun to keep."""
    house = start().house
    begin(house)
    return house
