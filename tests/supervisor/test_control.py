from __future__ import annotations

import errno
import json
import os
import resource
import select
import socket
import tempfile
from pathlib import Path
from time import monotonic

import pytest

from sdserve.core.fleet import events
from sdserve.host.control_socket import ControlSocket
from sdserve.supervisor import control as room
from sdserve.supervisor.control import MOST_CLIENTS, Control

TIMEOUT = 20.0
STATUS = {"name": "shop", "workers": []}


class Office:
    """A control socket, and the loop around it."""

    def __init__(self, directory):
        self.poller = select.epoll()
        self.path = str(directory / "control")
        self.status = STATUS
        self.renewing = []
        self.checks = []
        self.control = Control(
            ControlSocket(directory),
            self.poller,
            status=lambda: self.status,
            check=self.checks.append,
            renew=self.renewing.append,
        )
        self.clients = []

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(TIMEOUT)
        client.connect(self.path)
        self.clients.append(client)
        return client

    def turn(self, timeout=0.0):
        """One turn of the loop: what was asked for."""
        return list(self.control.take(dict(self.poller.poll(timeout))))

    def turns(self):
        """As many as it takes until nobody wants anything: what was asked for."""
        asked, deadline = [], monotonic() + TIMEOUT
        while ready := dict(self.poller.poll(0)):
            asked += self.control.take(ready)
            assert monotonic() < deadline, f"it spins: {ready}"
        return asked

    def close(self):
        for client in self.clients:
            client.close()
        self.control.close()
        self.poller.close()


@pytest.fixture
def office():
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        office = Office(Path(directory))
        yield office
        office.close()


def ask(client, method, parameters=None, **flags):
    call = {"method": f"io.sdserve.{method}", "parameters": parameters or {}, **flags}
    client.sendall(json.dumps(call).encode() + b"\0")


def answers(client, number=1):
    """The next answers that a client gets."""
    data = b""
    while data.count(b"\0") < number:
        more = client.recv(65536)
        assert more, f"it was hung up on after {data!r}"
        data += more
    return [json.loads(answer) for answer in data.split(b"\0")[:-1]]


def is_hung_up(client):
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_the_status_is_told_at_once(office):
    client = office.connect()
    ask(client, "Status")
    assert office.turns() == []
    assert answers(client) == [{"parameters": {"status": STATUS}}]


@pytest.mark.parametrize(
    ("method", "parameters", "event", "done", "failed"),
    [
        (
            "Reload",
            {},
            events.ReloadAsked,
            {"parameters": {"message": "text"}},
            {"error": "io.sdserve.ReloadFailed", "parameters": {"reason": "text"}},
        ),
        (
            "Upgrade",
            {},
            lambda token: events.ReloadAsked(token, upgrade=True),
            {"parameters": {"message": "text"}},
            {"error": "io.sdserve.UpgradeFailed", "parameters": {"reason": "text"}},
        ),
        (
            "Scale",
            {"count": 3},
            lambda token: events.ScaleAsked(token, 3),
            {"parameters": {}},
            {"error": "io.sdserve.ScaleFailed", "parameters": {"reason": "text"}},
        ),
    ],
)
def test_what_takes_its_time_is_answered_when_it_is_over(office, method, parameters, event, done, failed):
    client = office.connect()
    for ok, answer in ((True, done), (False, failed)):
        ask(client, method, parameters)
        [asked] = office.turns()
        assert asked == event(asked.token)
        assert asked.token > 0
        office.control.reply(asked.token, ok=ok, text="text")
        assert answers(client) == [answer]


def test_new_certificates_are_used_or_refused_when_they_were_read(office):
    client = office.connect()
    for ok, text in ((True, "read again"), (False, "/a.key: wrong")):
        ask(client, "ReloadCertificates")
        assert office.turns() == []
        office.control.reply(office.renewing.pop(), ok=ok, text=text)
    assert answers(client, 2) == [
        {"parameters": {"message": "read again"}},
        {"error": "io.sdserve.ReloadFailed", "parameters": {"reason": "/a.key: wrong"}},
    ]


def test_everybody_gets_their_own_answer(office):
    clients = [office.connect() for _ in range(3)]
    for client in clients:
        ask(client, "Reload")
    tokens = [event.token for event in office.turns()]
    assert len(set(tokens)) == 3
    for token in reversed(tokens):
        office.control.reply(token, ok=True, text=str(token))
    assert [answers(client)[0]["parameters"]["message"] for client in clients] == [*map(str, tokens)]


def test_calls_of_one_client_are_answered_in_order(office):
    client = office.connect()
    ask(client, "Reload")
    ask(client, "Status")
    ask(client, "Scale", {"count": 0})
    [asked] = office.turns()
    office.control.reply(asked.token, ok=True, text="done")
    assert office.turns() == []
    first, second, third = answers(client, 3)
    assert first == {"parameters": {"message": "done"}}
    assert second == {"parameters": {"status": STATUS}}
    assert third["error"] == "org.varlink.service.InvalidParameter"


def test_whoever_wants_no_answer_is_nobody(office):
    client = office.connect()
    ask(client, "Reload", oneway=True)
    ask(client, "Status", oneway=True)
    ask(client, "Status")
    assert office.turns() == [events.ReloadAsked(0)]
    assert answers(client) == [{"parameters": {"status": STATUS}}]
    office.control.reply(0, ok=True, text="to nobody")


def test_one_client_does_not_keep_others_from_their_turn(office):
    greedy, other = office.connect(), office.connect()
    for _ in range(50):
        ask(greedy, "Status")
    ask(other, "Status")
    for _ in range(4):  # one to accept each, one to read
        office.turn()
    other.setblocking(False)
    assert answers(other)
    assert len(answers(greedy)) < 5
    office.turns()


def test_half_a_message_is_waited_for(office):
    client = office.connect()
    call = b'{"method":"io.sdserve.Status"}\0'
    for byte in call:
        client.sendall(bytes([byte]))
        office.turns()
    assert answers(client)


@pytest.mark.parametrize(
    "data", [b"\0", b"GET / HTTP/1.1\r\n\r\n\0", b"\xff\0", b'{"method": 1}\0', b"[" * 100_000 + b"\0"]
)
def test_garbage_is_hung_up_on(office, data):
    client, other = office.connect(), office.connect()
    client.setblocking(False)
    client.send(data)
    assert office.turns() == []
    assert is_hung_up(client)
    ask(other, "Status")
    office.turns()
    assert answers(other)


def test_megabytes_are_hung_up_on_before_they_are_read(office):
    client = office.connect()
    client.setblocking(False)
    sent = 0
    while sent < 100 * 1024 * 1024:
        try:
            sent += client.send(b"x" * 65536)
        except BlockingIOError:
            office.turn()
        except ConnectionError:
            break
    assert sent < 2 * 1024 * 1024


def test_who_has_said_all_may_still_hear(office):
    client = office.connect()
    ask(client, "Reload")
    ask(client, "Status")
    client.shutdown(socket.SHUT_WR)
    [asked] = office.turns()
    office.control.reply(asked.token, ok=True, text="done")
    office.turns()
    assert len(answers(client, 2)) == 2
    assert is_hung_up(client)


@pytest.mark.parametrize("last", [b"", b"half"])
def test_who_leaves_is_forgotten(office, last):
    before = len(os.listdir("/proc/self/fd"))
    client = office.connect()
    client.sendall(last)
    office.turns()
    client.close()
    office.turns()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_somebody_asked_for_goes_on_when_they_leave(office):
    before = len(os.listdir("/proc/self/fd"))
    client = office.connect()
    ask(client, "Reload")
    client.close()
    [asked] = office.turns()
    assert len(os.listdir("/proc/self/fd")) == before
    assert office.control._waiting == {}
    office.control.reply(asked.token, ok=True, text="to nobody")


def test_who_does_not_read_is_waited_for_by_nobody(office):
    office.status = long = {"text": "x" * 1_000_000}
    client, other = office.connect(), office.connect()
    for _ in range(3):
        ask(client, "Status")
    office.turns()
    [kept] = [kept for kept in office.control._clients.values() if kept.unsent]
    office.status = STATUS
    ask(other, "Status")
    office.turns()
    assert answers(other)
    office.status = long
    # And it gets everything when it reads at last.
    received = b""
    client.setblocking(False)
    while received.count(b"\0") < 3:
        office.turn()
        assert len(kept.unsent) <= 1_000_100, "more than one answer is kept"
        try:
            received += client.recv(65536)
        except BlockingIOError:
            continue
    assert len(received) > 3_000_000


def test_who_leaves_without_reading_is_forgotten(office):
    office.status = {"text": "x" * 1_000_000}
    before = len(os.listdir("/proc/self/fd"))
    client = office.connect()
    ask(client, "Status")
    office.turns()
    client.close()
    office.turns()
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_more_pushes_out_whoever_is_silent_longest_but_nobody_who_waits(office):
    waiting = office.connect()
    ask(waiting, "Reload")
    office.turns()
    others, silent = [office.connect()], office.connect()
    office.turns()
    for _ in range(MOST_CLIENTS - 3):
        others.append(office.connect())
        office.turns()
    ask(others[0], "Status")
    office.turns()
    assert answers(others[0])
    last = office.connect()
    ask(last, "Status")
    office.turns()
    assert answers(last)
    assert is_hung_up(silent)
    assert not any(is_hung_up(client) for client in [waiting, *others])


def test_when_everybody_waits_newcomers_are_turned_away(office):
    for _ in range(MOST_CLIENTS):
        ask(office.connect(), "Reload")
        office.turns()
    assert is_hung_up_after(office, office.connect())


def is_hung_up_after(office, client):
    office.turns()
    return is_hung_up(client)


def test_strangers_may_nothing(office, monkeypatch):
    monkeypatch.setattr(room, "peer_user", lambda connected: 12345)
    client = office.connect()
    for method in ("Status", "Reload"):
        ask(client, method)
        assert office.turns() == []
        assert answers(client) == [{"error": "org.varlink.service.PermissionDenied", "parameters": {}}]


@pytest.mark.parametrize("user", [0, 4321])
def test_root_and_our_own_user_may_everything(office, monkeypatch, user):
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(room, "peer_user", lambda connected: user)
    client = office.connect()
    ask(client, "Status")
    office.turns()
    assert "error" not in answers(client)[0]


def test_a_lack_of_descriptors_makes_nobody_spin(office, caplog):
    first = office.connect()
    office.turns()
    second = office.connect()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        office.turns()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert os.strerror(errno.EMFILE) in caplog.text
    ask(second, "Status")
    ask(first, "Status")  # something else has happened
    office.turns()
    assert answers(first)
    assert answers(second)


def test_closing_hangs_up_on_everybody(office):
    clients = [office.connect() for _ in range(3)]
    ask(clients[0], "Reload")
    office.turns()
    office.control.close()
    assert all(is_hung_up(client) for client in clients)
    assert not os.path.exists(office.path)
