"""What one supervisor has had kept is handed to another one, both in this process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from time import monotonic

import pytest

from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import FleetOptions
from sdserve.host import channel, usage
from sdserve.host.addresses import parse
from sdserve.host.fds import Fd
from sdserve.host.record import Record
from sdserve.supervisor import recovery, state
from sdserve.supervisor.house import Worker
from sdserve.supervisor.keeping import CONNECTION, STATE
from sdserve.supervisor.recovery import Kept
from tests.supervisor.keeping import FLEET, begin, die, handed_back, keep

LISTENER = "sdserve-listen-web-1"


def address_of(house):
    return parse("{}:{}".format(*house.listeners[0].socket.getsockname()))


def names(manager):
    return [name for name, _ in manager.store]


# The first start, and one after another


def test_the_state_and_our_own_listeners_are_kept(first, manager):
    assert names(manager) == [STATE, LISTENER]
    assert first.listeners[0].kept == LISTENER
    assert os.path.sameopenfile(manager.store[0][1], first.keeper.record.memory.fileno())
    assert os.path.sameopenfile(manager.store[1][1], first.listeners[0].socket.fileno())


def test_what_a_socket_unit_passed_is_not_kept(start, manager):
    house = start().house
    house.listeners[0].is_passed = True
    begin(house)
    assert names(manager) == [STATE]


def test_a_name_that_is_too_long_is_not_given(start, manager):
    house = start().house
    house.listeners[0].name = "x" * 255
    begin(house)
    assert names(manager) == [STATE]
    assert house.listeners[0].kept == ""


@pytest.mark.parametrize("variable", ["FDSTORE", "NOTIFY_SOCKET"])
def test_where_nothing_is_kept_nothing_is_told(start, manager, monkeypatch, variable):
    monkeypatch.delenv(variable)
    house = start().house
    begin(house)
    assert house.keeper is None
    assert manager.store == []
    assert manager.messages == []


def test_a_service_manager_that_is_gone_is_no_reason_not_to_start(start, manager, told):
    house = start().house
    manager.close()
    begin(house)
    assert "the service manager cannot be told" in told.text
    house.keeper.save(house)


def test_the_next_one_goes_on_counting_with_the_same_listener_and_document(first, start, manager):
    die(first)
    house = start().house
    found = Kept.sort(handed_back(manager.store))
    saved = recovery.understand(found)
    assert saved.fleet == FLEET
    listener = found.listener("web", address_of(first))
    assert (listener.name, listener.kept) == ("web", LISTENER)
    house.listeners[0].close()
    house.listeners[0] = listener
    house.fleet = recovery.first_fleet(FleetOptions(count=3), saved)
    assert house.fleet == Fleet(options=FleetOptions(count=3), last_generation=4, last_serial=9)
    recovery.recover(house, found, saved)
    assert names(manager) == [STATE, LISTENER], "as before, and nothing twice"
    die(house, fleet=replace(FLEET, last_serial=20))
    assert json.loads(first.keeper.record.read())["fleet"]["last_serial"] == 20


def test_what_is_not_used_any_more_is_given_up(first, start, manager, clients):
    die(first)
    kept = handed_back(manager.store)
    with clients.connect() as other:
        first.tell_manager("FDSTORE=1\nFDNAME=sdserve-of-a-newer-version", [other.fileno()])
    kept = handed_back(manager.store)
    begin(start().house, kept)
    # It has bound a listener of its own; the old one had another address.
    assert sorted(names(manager)) == [LISTENER, STATE]
    assert not os.path.sameopenfile(manager.store[-1][1], first.listeners[0].socket.fileno())
    assert clients.closed() == [0]


def descriptors(manager):
    """How many are open that are not the service manager's."""
    kept = len(manager.store)
    return len(os.listdir("/proc/self/fd")) - kept


@pytest.mark.parametrize("size", ["0", "100"])
def test_no_descriptor_is_left_open(first, start, manager, clients, monkeypatch, size):
    keep(first, clients, 3)
    monkeypatch.setenv("FDSTORE", size)
    before = descriptors(manager)
    house = start().house
    begin(house, handed_back(manager.store))
    assert manager.count(CONNECTION) == 0
    house.close()
    house.scoreboard.memory.close()
    # The mapping of the scoreboard has one as well.
    assert descriptors(manager) == before + 1
    assert clients.closed() == [0, 1, 2]


# What cannot be used


def stored(content):
    memory = Fd(os.memfd_create("state", os.MFD_CLOEXEC))
    record = Record(memory.dup())
    record.write(content)
    record.close()
    return memory


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ""),
        (b"nonsense", ""),
        (b"\xff\xfe", ""),
        (b"[]", ""),
        (b"7", ""),
        (b"[" * 100_000, ""),
        (b"{}", ""),
        (b'{"format": 1}', "the state of the supervisor cannot be read: "),
        (b'{"format": 2, "listeners": 7, "connections": []}', "it has the format 2"),
    ],
    ids=lambda content: str(content[:12]),
)
def test_a_document_that_cannot_be_understood_counts_for_nothing(
    start, manager, clients, told, content, said
):
    house = start().house
    connection = clients.connect()
    assert begin(house, [(STATE, stored(content)), (CONNECTION, connection)]) is None
    assert house.fleet.last_generation == 0
    assert house.forwarded == []
    assert clients.closed() == [0]
    assert bool(said) == any("starting without it" in text for text in told.messages)
    assert said in told.text
    house.keeper.save(house)
    assert json.loads(house.keeper.record.read())["format"] == state.FORMAT


def test_another_format_hides_no_listener_but_what_it_says_of_it(start, manager, tmp_path):
    content = b'{"format": 2, "listeners": 7}'
    listening = socket.create_server(("127.0.0.1", 0))
    address = parse("{}:{}".format(*listening.getsockname()))
    found = Kept.sort([(STATE, stored(content)), (LISTENER, Fd(listening.detach()))])
    assert recovery.understand(found) is None
    listener = found.listener("web", address)
    assert listener is not None
    listener.close()
    found.close()


def test_a_newer_writer_of_the_same_format_is_understood(first, start, manager):
    die(first)
    document = json.loads(first.keeper.record.read())
    first.keeper.record.write(
        json.dumps(
            {**document, "colour": "blue", "listeners": [{**document["listeners"][0], "colour": 7}]}
        ).encode()
    )
    saved = begin(start().house, handed_back(manager.store))
    assert saved.fleet == FLEET


def test_a_state_that_is_no_memory_is_closed_and_another_one_kept(start, manager, clients):
    house = start().house
    begin(house, [(STATE, clients.connect())])
    assert clients.closed() == [0]
    die(house)
    assert json.loads(house.keeper.record.read())["fleet"]["last_serial"] == 9


def test_of_two_states_the_first_that_is_one_counts(start, manager, clients):
    given = [(STATE, clients.connect()), (STATE, stored(b"{}")), (STATE, stored(b"[]"))]
    found = Kept.sort(given)
    assert found.record.read() == b"{}"
    assert [descriptor for _, descriptor in given if "closed" in repr(descriptor)]
    found.close()
    assert not [descriptor for _, descriptor in given if "closed" not in repr(descriptor)]


def test_names_of_nobody_are_closed(clients):
    found = Kept.sort([("sdserve-new", clients.connect()), ("sdserve-listen-", clients.connect())])
    assert clients.closed() == [0, 1]
    assert found.names == {"sdserve-new", "sdserve-listen-"}


# Listeners


def test_a_listener_of_a_section_that_has_another_name_now_is_not_found(first, manager):
    die(first)
    found = Kept.sort(handed_back(manager.store))
    assert found.listener("shop", address_of(first)) is None
    assert found.listener("web", parse("127.0.0.1:1")) is None
    assert found.give_up_listeners() == [LISTENER]
    assert found.give_up_listeners() == []
    found.close()


def test_one_is_found_once(first, manager):
    found = Kept.sort(handed_back(manager.store))
    address = parse("127.0.0.1:0")
    listener = found.listener("web", address)
    assert listener is not None
    assert found.listener("web", address) is None
    listener.close()
    found.close()


def test_the_file_of_a_unix_listener_goes_when_it_is_given_up_and_not_before(tmp_path):
    path = str(tmp_path / "web.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    status = os.stat(path)
    document = {"listeners": [{"kept": LISTENER, "created": [status.st_dev, status.st_ino]}]}
    found = Kept.sort([(LISTENER, Fd(os.dup(listening.fileno())))])
    found.document = document
    found.close()
    assert os.path.exists(path)
    found = Kept.sort([(LISTENER, Fd(listening.detach()))])
    found.document = document
    assert found.give_up_listeners() == [LISTENER]
    assert not os.path.exists(path)


def test_what_has_the_name_of_a_listener_and_is_none_is_closed(clients):
    found = Kept.sort([(LISTENER, clients.connect())])
    assert found.listener("web", parse("127.0.0.1:0")) is None
    assert found.give_up_listeners() == [LISTENER]
    assert clients.closed() == [0]


# Workers


@pytest.fixture
def worker():
    """A process that is not the supervisor's child, as far as that is concerned."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def with_worker(house, pid, started):
    ours, theirs = channel.pair()
    theirs.close()
    row = house.take_row()
    house.admit_worker(
        Worker(generation=1, serial=9, slot=1, row=row, channel=ours, pid=pid, started=started)
    )
    die(house)
    house.workers[9].pid = None  # nobody is to be killed when the house is closed


def test_workers_of_the_one_that_died_are_watched(first, start, manager, worker, told):
    first.prepared[1] = replace(
        first.prepared[1],
        configuration=replace(first.configuration, fleet=FleetOptions(drain_timeout=50.0)),
    )
    with_worker(first, worker.pid, usage.started(worker.pid))
    house = start().house
    begin(house, handed_back(manager.store))
    assert house.leftovers.pids == [worker.pid]
    assert f"the supervisor before this one died; what it has left drains: {worker.pid}" in told.messages
    [(_, _, deadline)] = house.leftovers.describe()
    assert deadline == pytest.approx(monotonic() + 50.0 + 5.0 + 5.0, abs=5.0)
    # The next one hears of them from this one's document.
    die(house)
    third = start().house
    begin(third, handed_back(manager.store))
    assert third.leftovers.describe() == house.leftovers.describe()


def test_a_stranger_with_the_number_of_one_of_them_is_not_watched(first, start, manager, worker, told):
    with_worker(first, worker.pid, usage.started(worker.pid) - 1)
    house = start().house
    begin(house, handed_back(manager.store))
    assert house.leftovers.pids == []
    assert not [text for text in told.messages if "died" in text]


def test_after_a_stop_there_is_nobody_to_watch(first, start, manager, told):
    with_worker(first, 2**22 + 5, 77)
    first.forget_worker(first.workers[9])
    house = start().house
    begin(house, handed_back(manager.store))
    assert house.leftovers.pids == []
    assert not [text for text in told.messages if "died" in text]


# Another program in the place of this one


def test_another_program_goes_on_with_the_same_document(first, start, manager):
    die(first)
    content = json.dumps(state.describe(first)).encode()
    saved = state.read(content)
    house = start().house
    os.set_inheritable(first.keeper.record.memory.fileno(), True)
    copied = first.keeper.record.memory.dup()
    first.keeper.record.memory.steal()
    house.listeners[0].kept = LISTENER
    kept = manager.store
    manager.messages.clear()
    recovery.keep_on(house, saved)
    assert manager.store == kept
    assert manager.messages == [], "all is there already"
    assert not os.get_inheritable(house.keeper.record.memory.fileno())
    die(house, fleet=replace(FLEET, last_serial=30))
    assert json.loads(Record(copied).read())["fleet"]["last_serial"] == 30
    copied.close()
    first.keeper.record.memory = Fd(os.memfd_create("other", os.MFD_CLOEXEC))


def test_one_that_begins_to_keep_has_its_listeners_kept(start, manager):
    house = start().house
    saved = state.read(json.dumps(state.describe(house)).encode())
    assert saved.said["record"] is None
    recovery.keep_on(house, saved)
    assert names(manager) == [STATE, LISTENER]


def test_one_that_may_not_keep_any_more_closes_the_document(first, start, manager, monkeypatch):
    saved = state.read(json.dumps(state.describe(first)).encode())
    house = start().house
    monkeypatch.delenv("FDSTORE")
    number = first.keeper.record.memory.steal()
    recovery.keep_on(house, saved)
    assert house.keeper is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    first.keeper.record.memory = Fd(os.memfd_create("other", os.MFD_CLOEXEC))
