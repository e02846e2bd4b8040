from __future__ import annotations

import os
import signal
from contextlib import suppress
from time import monotonic

import pytest

from sdserve.core.fleet import events
from sdserve.core.fleet.machine import Fleet
from sdserve.core.fleet.model import Phase
from sdserve.core.fleet.options import FleetOptions
from sdserve.errors import EXIT_BOOT, EXIT_OK
from sdserve.host.record import Record
from sdserve.supervisor import loop, state
from sdserve.supervisor.house import Forwarded
from sdserve.supervisor.keeping import Keeper
from sdserve.supervisor.recovery import Returned
from tests.supervisor.keeping import PACKET

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


def test_the_state_is_written_down_as_it_changes(start, manager):
    house = start().house
    house.keeper = Keeper(Record.create("state"), 3, house.poller)
    os.kill(os.getpid(), signal.SIGTERM)
    assert run(house) == EXIT_OK
    saved = state.read(house.keeper.record.read())
    assert saved.fleet.last_generation == 1
    assert saved.fleet.phase is not Phase.NEW


@pytest.fixture
def replaced(monkeypatch):
    """What is executed in place of this program: nothing, and what was written down by then."""
    calls = []

    def replace_program(house, generation):
        calls.append((generation, house.keeper.record.read()))
        os.kill(os.getpid(), signal.SIGTERM)
        return events.ProgramNotReplaced(generation, "no")

    monkeypatch.setattr(loop, "replace_program", replace_program)
    return calls


def test_the_program_is_replaced_once_all_is_said_and_written_down(start, manager, replaced, clients):
    house = start().house
    house.keeper = Keeper(Record.create("state"), 3, house.poller)
    house.replacement = 7
    returned = Returned()
    box = house.mailbox_of(1)
    with suppress(BlockingIOError):
        while True:
            clients.send(box.inlet, packet=b"x" * 10_000)
    returned.add(PACKET, clients.connect())
    house.forwarded.append(Forwarded(generation=0, heir=1, until=monotonic() + 0.2, forwarding=returned))
    house.retry_by(monotonic())
    assert run(house) == EXIT_OK
    [(generation, document)] = replaced
    assert generation == 7
    assert state.read(document).fleet.last_generation == 1
    assert house.replacement == 0
    assert returned.is_empty, "it waited for that"
