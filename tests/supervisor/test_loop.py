from __future__ import annotations

import os
import signal

import pytest

from sdserve.core.fleet import events
from sdserve.core.fleet.machine import Fleet
from sdserve.core.fleet.options import FleetOptions
from sdserve.errors import EXIT_BOOT, EXIT_OK
from sdserve.supervisor import loop

FLEET = Fleet(options=FleetOptions(backoff_first=0.01))


def run(house):
    house.fleet = FLEET
    return loop.run(house, events.Started())


def test_it_runs_until_the_fleet_has_gone(start, manager):
    house = start().house
    os.kill(os.getpid(), signal.SIGTERM)  # it waits until somebody reads
    assert run(house) == EXIT_OK
    assert manager.status == "Stopping"
    assert ("STOPPING", "1") in manager.messages
    assert house.workers == house.zygotes == {}


@pytest.mark.parametrize("application", ["fail", "raise", "exit:1", "garbage"])
def test_workers_that_never_serve_end_it(start, manager, application):
    house = start(application).house
    assert run(house) == EXIT_BOOT
    assert manager.status.startswith("Failed: ")
    assert ("READY", "1") not in manager.messages


@pytest.mark.parametrize(
    "source",
    ["import sys; sys.exit(1)", "import os; os.write(int(__import__('sys').argv[1]), b'garbage')"],
)
def test_a_zygote_that_never_works_ends_it(start, manager, tmp_path, source):
    (tmp_path / "program.py").write_text(source)
    house = start(command=(str(tmp_path / "program.py"),)).house
    assert run(house) == EXIT_BOOT
    assert manager.status.startswith("Failed: zygote ")
