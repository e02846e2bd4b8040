from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import pytest

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.core.fleet.model import Phase
from sdserve.host import mailbox, notify
from sdserve.host.fds import Fd
from sdserve.host.record import MAX_DOCUMENT, Record
from sdserve.supervisor import keeping, observe
from sdserve.supervisor.keeping import CONNECTION, Keeper
from tests.supervisor.conftest import TIMEOUT, observed
from tests.supervisor.keeping import PACKET


@pytest.fixture
def house(start, manager):
    """One for which three connections may be kept."""
    house = start().house
    house.keeper = Keeper(Record.create("state"), 3, house.poller)
    return house


def read(house):
    return json.loads(house.keeper.record.read())


def turn(house):
    """What the loop does once, when there is something to do."""
    return list(observe.wait(house, monotonic()))


def inlet_of(house):
    """A copy of where workers send connections, as one has it."""
    return Fd(os.dup(house.keeper.inlet()))


def send(clients, inlet, count=1):
    with mailbox.socket.socket(fileno=os.dup(inlet.fileno())) as sender:
        clients.send(sender, count)


# The state


def test_the_state_is_written_when_the_fleet_has_changed(house):
    house.keeper.save(house)
    written = house.keeper.record.read()
    assert read(house)["fleet"]["last_serial"] == 0
    house.interface = "asgi"
    house.keeper.save(house)
    assert house.keeper.record.read() == written, "the fleet is the same"
    house.fleet = replace(house.fleet, last_serial=7)
    house.keeper.save(house)
    assert read(house)["fleet"]["last_serial"] == 7
    assert read(house)["interface"] == "asgi"


def test_a_state_that_is_too_long_is_only_said(house, caplog):
    house.keeper.save(house)
    written = house.keeper.record.read()
    house.fleet = replace(house.fleet, last_serial=7)
    house.interface = "x" * MAX_DOCUMENT
    house.keeper.save(house)
    assert "the state cannot be kept for the case that sdserve dies: " in caplog.text
    assert house.keeper.record.read() == written


# Connections


def test_connections_are_given_to_the_service_manager_with_their_facts(house, manager, clients):
    with inlet_of(house) as inlet:
        send(clients, inlet, 2)
    turn(house)
    assert manager.count(CONNECTION) == 2
    house.keeper.finish(house)
    document = read(house)
    for _, number in manager.store:
        with Fd(os.dup(number)) as descriptor:
            assert keeping.facts_of(document, descriptor) == PACKET
    assert clients.closed() == []
    manager.close()
    assert clients.closed() == [0, 1], "nobody else has a copy"


def test_one_whose_client_is_gone_is_kept_like_any_other(house, manager, clients):
    with inlet_of(house) as inlet:
        send(clients, inlet)
    clients.ends[0].close()
    turn(house)
    assert manager.count(CONNECTION) == 1
    clients.ends.clear()


def test_no_more_are_kept_than_there_is_room_for(house, manager, clients):
    with inlet_of(house) as inlet:
        send(clients, inlet, 5)
        turn(house)
        assert manager.count(CONNECTION) == 3
        assert clients.closed() == [3, 4]
        assert house.keeper.inlet() == -1
        # Who would send more sees it, and keeps its connection.
        with pytest.raises(ConnectionError):
            send(clients, inlet)
    turn(house)
    house.keeper.finish(house)
    assert len(read(house)["connections"]) == 3


def test_without_room_there_is_nowhere_to_send_them(start, manager):
    house = start().house
    for room in (0, -5):
        house.keeper = Keeper(Record.create("state"), room, house.poller)
        assert house.keeper.inlet() == -1
        house.keeper.finish(house)
        house.keeper.close()


def test_without_a_descriptor_for_the_mailbox_there_is_none(house, no_descriptors):
    assert house.keeper.inlet() == -1


def test_they_wait_where_they_are_while_the_service_manager_does_not_read(start, manager, clients):
    """A thousand of them push nothing out of the queue of what else it is told."""
    house = start().house
    count = 1000
    house.keeper = Keeper(Record.create("state"), count, house.poller)
    number = 0
    while not house.manager.is_behind:
        house.tell_manager(notify.status(f"{number}"))
        number += 1
    house.tell_manager(notify.STOPPING)
    sent, deadline = 0, monotonic() + TIMEOUT
    with inlet_of(house) as inlet:
        with suppress(BlockingIOError):
            while sent < count:
                send(clients, inlet)
                sent += 1
        assert sent < count
        turn(house)
        for _ in range(3):  # and nothing wakes it up
            assert list(observe.wait(house, monotonic() + 0.01)) == [events.TimePassed()]
        assert len(house.manager._kept) == 2, "the status and the stop"
        while manager.count(CONNECTION) < count:  # which makes room
            assert monotonic() < deadline
            with suppress(BlockingIOError):
                while sent < count:
                    send(clients, inlet)
                    sent += 1
            turn(house)
            assert len(house.manager._kept) <= 2
    assert ("STOPPING", "1") in manager.messages
    # The failed attempts to send have made and closed one each.
    assert len(clients.closed()) == len(clients.ends) - count


def test_what_waits_at_the_end_is_kept_as_well(house, manager, clients, caplog):
    caplog.set_level(logging.INFO, "sdserve")
    number = 0
    while not house.manager.is_behind:
        house.tell_manager(notify.status(f"{number}"))
        number += 1
    with inlet_of(house) as inlet:
        send(clients, inlet, 2)
    house.keeper.finish(house)
    assert "2 idle connections are kept for the case of a restart" in caplog.messages
    assert manager.status
    house.catch_up()
    assert manager.count(CONNECTION) == 2
    house.keeper.finish(house)


def test_where_nobody_takes_them_they_are_closed(house, manager, clients, caplog):
    manager.close()
    with inlet_of(house) as inlet:
        send(clients, inlet, 3)
    turn(house)
    house.keeper.finish(house)
    assert clients.closed() == [0, 1, 2]
    assert "the service manager cannot be told" in caplog.text


def test_packets_without_a_connection_are_dropped(house, manager, clients):
    with inlet_of(house) as inlet:
        os.write(inlet.fileno(), PACKET)
        send(clients, inlet)
    turn(house)
    assert manager.count(CONNECTION) == 1


def test_closing_lets_go_of_everything_once(house, manager, clients):
    before = len(os.listdir("/proc/self/fd"))
    with inlet_of(house) as inlet:
        send(clients, inlet)
    house.keeper.close()
    house.keeper.close()
    assert clients.closed() == [0]
    clients.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1, "the record"


# Orders to drain


@pytest.mark.parametrize(
    ("phase", "room", "heir", "expected", "descriptors"),
    [
        (Phase.STOPPING, 3, 0, wire.KEEPER, 1),
        (Phase.STOPPING, 0, 0, wire.KEEPER, 0),
        (Phase.STOPPING, 3, 1, 1, 1),
        (Phase.STOPPING, None, 0, 0, 0),
        (Phase.SERVING, 3, 0, 0, 0),
    ],
)
def test_who_drains_at_a_stop_is_told_where_to_send(start, manager, phase, room, heir, expected, descriptors):
    supervisor = start()
    house = supervisor.house
    house.fleet = replace(house.fleet, phase=phase)
    if room is not None:
        house.keeper = Keeper(Record.create("state"), room, house.poller)
    with observed(supervisor, 5) as worker:
        assert supervisor.order(effects.Drain(generation=1, serial=5, heir=heir)) == []
        received = worker.receive()
        assert received.message == wire.Drain(generation=1, serial=5, heir=expected)
        assert len(received.descriptors) == descriptors
        if expected == wire.KEEPER and descriptors:
            assert os.path.sameopenfile(received.descriptors[0].fileno(), house.keeper.inlet())
        for one in received.descriptors:
            one.close()


# Names


def test_each_listener_has_a_name_of_its_own(start):
    [listener] = start().house.listeners
    assert keeping.listener_name(listener, []) == "sdserve-listen-web-1"
    assert keeping.listener_name(listener, ["sdserve-listen-web-1", "sdserve-listen-x-2"]) == (
        "sdserve-listen-web-2"
    )


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("sdserve-listen-web-1", "web"),
        ("sdserve-listen-a-b-2-17", "a-b-2"),
        ("sdserve-listen-web", ""),
        ("sdserve-listen-", ""),
        ("sdserve-state", ""),
        ("web", ""),
    ],
)
def test_a_name_tells_the_section(name, section):
    assert keeping.section_of(name) == section


@pytest.mark.parametrize("said", [7, None, "no base64!", "YWJj\n"])
def test_facts_that_make_no_sense_are_none(clients, said):
    with clients.connect() as descriptor:
        inode = str(os.fstat(descriptor.fileno()).st_ino)
        assert keeping.facts_of({"connections": {inode: said}}, descriptor) is None
        assert keeping.facts_of({}, descriptor) is None
