from __future__ import annotations

import os
import sys

import pytest

from sdserve.core.fleet import effects, events
from sdserve.host.release import Release
from sdserve.supervisor import spawn

OURS = Release(directory="/", python=sys.executable)


def test_what_is_meant_for_the_supervisor_alone_stays_with_it():
    own = {
        "PATH": "/bin",
        "LISTEN_FDS": "1",
        "LISTEN_PID": "7",
        "LISTEN_FDNAMES": "web",
        "LISTEN_PIDFDID": "7",
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "7",
        "JOURNAL_STREAM": "8:9",
    }
    passed = spawn.environment(own, {}, OURS)
    assert passed.pop("PYTHONPATH", None) is not own  # whether a checkout needs it is another test
    assert passed == {"PATH": "/bin", "JOURNAL_STREAM": "8:9"}


def test_what_is_configured_comes_on_top():
    assert spawn.environment({"TZ": "UTC"}, {"TZ": "Asia/Tokyo", "A": "b"}, OURS)["TZ"] == "Asia/Tokyo"


def test_a_checkout_is_found_by_our_own_interpreter_and_not_forced_upon_another(monkeypatch):
    root = os.path.dirname(os.path.dirname(os.path.abspath(spawn.sdserve.__file__)))
    monkeypatch.setattr(sys, "path", [root, *sys.path])
    other = Release(directory="/", python="/venv/bin/python")
    assert spawn.environment({}, {}, OURS)["PYTHONPATH"] == root
    assert spawn.environment({"PYTHONPATH": "/mine"}, {}, OURS)["PYTHONPATH"] == f"/mine:{root}"
    assert "PYTHONPATH" not in spawn.environment({}, {}, other)


@pytest.fixture
def about(supervisor):
    """What a worker says about itself."""
    supervisor.wait_for(events.ZygoteReady)
    supervisor.order(effects.Fork(generation=1, serial=1, slot=1))
    supervisor.wait_for(events.WorkerReady)
    return supervisor.ask()


def test_the_environment_reaches_the_worker(about):
    assert about["environment"]["FROM_CONFIGURATION"] == "yes"
    assert not [name for name in about["environment"] if name.startswith("LISTEN_")]


def test_nothing_of_the_supervisors_is_open_in_a_worker(about):
    links = [link for number, link in about["descriptors"].items() if int(number) > 2]
    assert len([link for link in links if link.startswith("socket:")]) == 6
    assert not [link for link in links if "eventpoll" in link]
