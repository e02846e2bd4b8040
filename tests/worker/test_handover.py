"""The mail between workers: full, waiting, for nobody, for many."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time

import pytest

from sdserve.core.wire.messages import Drain
from sdserve.core.wire.moved import MAX_PENDING, Moved, encode_moved
from sdserve.errors import EXIT_OK
from sdserve.host import mailbox, scoreboard
from sdserve.worker.boot import new_event_loop
from sdserve.worker.handover import Inbox
from sdserve.worker.server import Heir
from tests.worker.moving import Held, fill, get, named, named_async, wait_until
from tests.worker.serving import REQUEST, TIMEOUT

# Mail


def test_a_full_mailbox_keeps_connections_where_they_are_until_there_is_room(make_box, serve, make):
    box = make_box()
    old = serve(**make(b"old"))
    clients = [old.connect() for _ in range(20)]
    for client in clients:
        client.request()
    filling = fill(box)
    old.drain(Heir(box.inlet.dup(), 2))
    assert {client.request().body for client in clients} == {b"old/"}
    assert old.row.words[scoreboard.HANDED_OVER] == 0
    for _ in range(filling):
        mailbox.receive(box.outlet)[1].close()
    new = serve(**make(b"new"), mailbox=box.outlet)
    old.wait_until_drained()
    assert {client.request().body for client in clients} == {b"new/"}
    assert new.row.words[scoreboard.ADOPTED] == 20


def test_near_the_end_what_cannot_move_is_closed_in_order(make_box, serve, make):
    box = make_box()
    fill(box)
    old = serve(**make(b"old"), drain_timeout=2.0)
    idle, busy = old.connect(), old.connect()
    idle.request()
    busy.request()
    old.drain(Heir(box.inlet.dup(), 2))
    assert "connection" not in busy.request().fields
    assert idle.rest() == busy.rest() == b""
    old.wait_until_drained()
    assert not any("cut off" in text for text in old.log.texts())


def test_without_anybody_to_read_the_mail_connections_are_closed(make_box, serve, make):
    box = make_box()
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    box.outlet.close()
    old.drain(Heir(box.inlet.dup(), 2))
    assert client.rest() == b""
    old.wait_until_drained()


def test_what_waits_in_the_mailbox_survives_who_should_have_read_it(make_box, serve, make):
    box = make_box()
    old = serve(**make(b"old"))
    clients = [old.connect() for _ in range(5)]
    for client in clients:
        client.request()
    old.drain(Heir(box.inlet.dup(), 2))
    old.wait_until_drained()
    for client in clients:
        client.send(REQUEST)
    serve(**make(b"new"), mailbox=box.outlet)
    assert {client.response().body for client in clients} == {b"new/"}


def test_the_bytes_that_go_along_have_a_limit(make_box, serve):
    """A connection that sent more ahead is served on, until there are few enough."""
    held = Held()
    box = make_box()
    old = serve(held, max_pipelined=1)
    new = serve(named_async(b"new"), mailbox=box.outlet)
    client = old.connect()
    number = MAX_PENDING // len(REQUEST) + 20
    client.send(REQUEST)
    assert held.reached.wait(TIMEOUT)
    client.send(REQUEST * number)
    old.settle()
    old.drain(Heir(box.inlet.dup(), 2))
    old.call(held.go_on.set)
    words = [client.response().body for _ in range(number + 1)]
    assert words == sorted(words, reverse=True)
    assert words[-1] == b"new/"
    old.wait_until_drained()
    assert new.row.words[scoreboard.ADOPTED] == 1


def test_a_worker_of_the_same_generation_takes_over(make_box, serve, make):
    box = make_box()
    old = serve(**make(b"old"), mailbox=box.outlet)
    new = serve(**make(b"new"), mailbox=box.outlet)
    clients = [old.connect() for _ in range(10)]
    for client in clients:
        client.request()
    old.drain(Heir(box.inlet.dup(), 2, is_own=True))
    old.wait_until_drained()
    assert {client.request().body for client in clients} == {b"new/"}
    assert old.row.words[scoreboard.ADOPTED] == 0
    assert new.row.words[scoreboard.ADOPTED] == 10


def test_mail_for_a_generation_that_goes_itself_is_sent_on(make_box, serve, make):
    first, second = make_box(), make_box()
    held = Held()
    middle = serve(held, mailbox=first.outlet)
    busy = middle.connect()
    busy.send(REQUEST)
    assert held.reached.wait(TIMEOUT)
    new = serve(**make(b"new"), mailbox=second.outlet)
    middle.drain(Heir(second.inlet.dup(), 3))
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    old.drain(Heir(first.inlet.dup(), 2))
    assert client.request().body == b"new/"
    middle.call(held.go_on.set)
    assert busy.response().body == b"old"
    middle.wait_until_drained()
    wait_until(lambda: new.row.words[scoreboard.ADOPTED] == 2)


def test_who_stops_serves_what_comes_by_mail_at_the_last_moment(make_box, serve, make):
    box = make_box()
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    old.drain(Heir(box.inlet.dup(), 2))
    old.wait_until_drained()
    client.send(REQUEST)
    new = serve(**make(b"new"))

    def stop():
        new.server.serve([], box.outlet)
        new.server.drain()

    new.call(stop)
    response = client.response()
    assert (response.body, response.fields["connection"]) == (b"new/", "close")
    new.wait_until_drained()


def test_another_heir_takes_the_place_of_the_first(make_box, serve, make):
    first, second = make_box(), make_box()
    fill(first)
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    old.drain(Heir(first.inlet.dup(), 2))
    assert client.request().body == b"old/"
    serve(**make(b"new"), mailbox=second.outlet)
    old.drain(Heir(second.inlet.dup(), 3))
    old.wait_until_drained()
    assert client.request().body == b"new/"


def test_a_stop_in_the_middle_of_a_drain_closes_what_has_not_moved(make_box, serve, make):
    box = make_box()
    fill(box)
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    old.drain(Heir(box.inlet.dup(), 2))
    old.drain()
    assert client.rest() == b""
    old.wait_until_drained()


def test_a_full_server_leaves_the_mail_to_others(make_box, serve, make):
    box = make_box()
    full = serve(**make(b"full"), mailbox=box.outlet, max_connections=1)
    occupant = full.connect()
    occupant.request()
    occupant.send(REQUEST[:-1])  # not idle
    full.settle()
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    old.drain(Heir(box.inlet.dup(), 2))
    old.wait_until_drained()
    client.send(REQUEST)
    full.settle()
    assert full.row.words[scoreboard.ADOPTED] == 0
    occupant.close()
    assert client.response().body == b"full/"


@pytest.mark.parametrize("packet", [b"nonsense\n", b"[]\n", b'{"deadline":"soon"}\n', b'{"requests":true}\n'])
def test_mail_that_makes_no_sense_is_closed(make_box, serve, packet):
    box = make_box()
    worker = serve(named(b"new"), mailbox=box.outlet)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        mailbox.send(box.inlet, packet, theirs.fileno())
        theirs.close()
        ours.settimeout(TIMEOUT)
        assert ours.recv(1) == b""
    assert any("that cannot be read" in text or "of the wrong type" in text for text in worker.errors())


def test_a_client_that_left_on_the_way_costs_nothing(make_box, serve, make):
    box = make_box()
    old = serve(**make(b"old"))
    client = old.connect()
    client.request()
    old.drain(Heir(box.inlet.dup(), 2))
    old.wait_until_drained()
    client.reset()
    new = serve(**make(b"new"), mailbox=box.outlet)
    wait_until(lambda: new.row.words[scoreboard.ADOPTED] == 1)
    wait_until(lambda: new.call(lambda: new.server._connections) == 0)
    assert new.errors() == []


# Many


def test_connections_under_load_move_back_and_forth(make_box, serve, make):
    """Each answer comes once, in order, on the connection of its request; no descriptor is left behind."""
    boxes = [make_box(), make_box()]
    servers = [serve(**make(b""), mailbox=boxes[0].outlet)]
    clients = [servers[0].connect() for _ in range(64)]
    clients[-1].request()
    descriptors = len(os.listdir("/proc/self/fd"))
    over = threading.Event()
    counts = [0] * len(clients)
    errors = []

    def ask(index):
        client = clients[index]
        try:
            while not over.is_set():
                path = b"/%d/%d" % (index, counts[index])
                assert client.request(get(path)).body == path
                counts[index] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=[index]) for index in range(len(clients))]
    for thread in threads:
        thread.start()
    for turn in range(1, 11):
        box = boxes[turn % 2]
        servers.append(serve(**make(b""), mailbox=box.outlet))
        before = sum(counts)
        servers[-2].drain(Heir(box.inlet.dup(), turn))
        servers[-2].wait_until_drained()
        wait_until(lambda before=before: errors or sum(counts) > before + 64)
    over.set()
    for thread in threads:
        thread.join(TIMEOUT)
    assert errors == []
    assert min(counts) > 0
    assert servers[-1].row.words[scoreboard.CONNECTIONS] == 64
    assert sum(server.row.words[scoreboard.HANDED_OVER] for server in servers) == 640
    # Each server that has ended keeps its listener until the end of the test.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == descriptors + len(servers) - 1)


def test_without_a_free_descriptor_the_mail_waits(fork, make_box):
    box = make_box()
    worker = fork("wsgi", files=24, mailbox=box.outlet)
    worker.told()
    connected = [socket.create_connection(worker.address, TIMEOUT) for _ in range(24)]
    assert worker.process.stderr.readline().count("Too many open files") == 1
    ours, theirs = socket.socketpair()
    mailbox.send(
        box.inlet, encode_moved(Moved(pending=REQUEST, deadline=time.monotonic() + 60)), theirs.fileno()
    )
    theirs.close()
    for one in connected:
        one.close()
    with ours:
        ours.settimeout(TIMEOUT)
        assert ours.recv(100).startswith(b"HTTP/1.1 200")


def test_a_pause_for_want_of_descriptors_ends_when_the_mail_is_read_again_or_stopped(
    loop_kind, make_box, monkeypatch
):
    pause = 0.01
    monkeypatch.setattr("sdserve.worker.handover._PAUSE", pause)
    box, adopted = make_box(), []
    loop = new_event_loop(loop_kind)
    inbox = Inbox(loop, box.outlet, lambda connected, moved: adopted.append(connected), lambda: None)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        assert not inbox.take()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    inbox.start()
    inbox.stop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        mailbox.send(box.inlet, encode_moved(Moved()), theirs.fileno())
    loop.call_later(5 * pause, loop.stop)
    loop.run_forever()
    loop.close()
    assert (adopted, inbox.is_open) == ([], False)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_worker_processes_hand_over_by_the_descriptor_that_comes_with_the_order(fork, make_box, loop):
    box = make_box()
    old, new = fork("wsgi", loop=loop), fork("asgi", loop=loop, mailbox=box.outlet)
    old.told()
    new.told()
    client = old.connect()
    assert client.request().status == 200
    old.tell(Drain(generation=3, serial=14, heir=4), box.inlet)
    assert old.end() == (EXIT_OK, "")
    assert client.request().fields.get("content-type") is None, "only the WSGI application sends it"
    new.process.kill()
    assert client.is_over()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_reader_that_is_killed_takes_nothing_with_it_that_waits(fork, make_box, loop):
    box = make_box()
    first = fork("wsgi", loop=loop, mailbox=box.outlet)
    first.told()
    first.process.send_signal(signal.SIGSTOP)
    old = fork("wsgi", loop=loop)
    old.told()
    clients = [old.connect() for _ in range(10)]
    for client in clients:
        client.request()
    old.tell(Drain(generation=3, serial=14, heir=4), box.inlet)
    assert old.end() == (EXIT_OK, "")
    first.process.kill()
    fork("wsgi", loop=loop, mailbox=box.outlet).told()
    assert {client.request().status for client in clients} == {200}


def test_an_order_without_its_descriptor_closes_connections(fork):
    worker = fork("wsgi")
    worker.told()
    client = worker.connect()
    client.request()
    worker.tell(Drain(generation=3, serial=14, heir=4))
    assert client.rest() == b""
    assert worker.end() == (EXIT_OK, "")
