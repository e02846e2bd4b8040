"""Where the listening sockets of a start come from; whole servers after others, as systemd starts them."""

from __future__ import annotations

import os
import signal
import socket
import stat
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sdserve.config.model import Listener
from sdserve.errors import ActivationError, BindError
from sdserve.host import binding
from sdserve.host.addresses import parse
from sdserve.host.fds import Fd
from sdserve.host.notify import ServiceManager
from sdserve.run.listeners import open_listeners
from sdserve.supervisor.recovery import Kept
from tests.notify_socket import NotifySocket
from tests.run.conftest import ask, wait_until_gone
from tests.serving import TIMEOUT, Connection, descendants
from tests.supervisor.conftest import make_configuration

REQUEST = ("GET", "/")


@pytest.fixture
def keeper(monkeypatch):
    made = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", made.address)
    yield made
    made.close()


@pytest.fixture
def manager(keeper):
    made = ServiceManager()
    yield made
    made.close()


def section(name, *addresses, **options):
    return Listener(name=name, addresses=addresses, **options)


def configuration(*listeners):
    return replace(make_configuration("/"), listen=listeners)


class Before:
    """Listeners of a server before, and what is known of them."""

    def __init__(self):
        self.kept = Kept()
        self.document = {"listeners": []}

    def add(self, section, text):
        """Where it listens."""
        listener = binding.bind(section, parse(text), backlog=1, mode=0o660)
        name = f"sdserve-listen-{section}-{len(self.kept.listeners) + 1}"
        self.document["listeners"].append({"kept": name, "created": listener.created})
        place = listener.socket.getsockname()
        self.kept.listeners.append((name, Fd(listener.socket.detach())))
        self.kept.document = self.document
        return place


@pytest.fixture
def before():
    made = Before()
    yield made
    made.kept.close()


@contextmanager
def opened(wanted, kept, manager, passed=()):
    listeners = open_listeners(wanted, list(passed), kept, manager)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.kept = ""
            listener.close()


def test_what_is_kept_is_taken_where_it_was_and_the_rest_is_bound(before, manager, tmp_path):
    host, port = before.add("web", "127.0.0.1:0")
    path = before.add("web", f"unix:{tmp_path}/web.sock")
    inode = os.stat(path).st_ino
    addresses = (f"{host}:{port}", "127.0.0.1:0", f"unix:{path}")
    with opened(
        configuration(section("web", *addresses, backlog=20, mode=0o600)), before.kept, manager
    ) as listeners:
        assert [one.kept for one in listeners] == ["sdserve-listen-web-1", "", "sdserve-listen-web-2"]
        assert [one.name for one in listeners] == ["web"] * 3
        assert listeners[0].socket.getsockname() == (host, port)
        assert os.stat(path).st_ino == inode
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert before.kept.listeners == []


def test_what_is_not_wanted_any_more_is_closed_here_and_by_the_manager(before, manager, keeper, tmp_path):
    host, port = before.add("old", "127.0.0.1:0")
    path = before.add("web", f"unix:{tmp_path}/web.sock")
    # The section has another name, and the address is wanted all the same.
    wanted = configuration(section("new", f"{host}:{port}"))
    with keeper.read_all_the_time(), opened(wanted, before.kept, manager) as listeners:
        assert [(one.name, one.kept) for one in listeners] == [("new", "")]
        assert listeners[0].socket.getsockname() == (host, port)
    assert not os.path.exists(path)
    names = [value for name, value in keeper.messages if name == "FDNAME"]
    assert names == ["sdserve-listen-old-1", "sdserve-listen-web-2"]
    assert ("BARRIER", "1") in keeper.messages


def test_a_manager_that_is_gone_is_no_reason_not_to_start(before, manager, keeper):
    host, port = before.add("old", "127.0.0.1:0")
    keeper.close()
    with opened(configuration(section("web", f"{host}:{port}")), before.kept, manager) as listeners:
        assert listeners[0].socket.getsockname() == (host, port)


def test_nothing_stays_open_where_one_cannot_be_bound(before, manager, tmp_path):
    place = before.add("web", "127.0.0.1:0")
    path = before.add("web", f"unix:{tmp_path}/web.sock")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = "{}:{}".format(*other.getsockname())
        addresses = (taken, "{}:{}".format(*place), f"unix:{path}")
        number = len(os.listdir("/proc/self/fd"))
        with pytest.raises(BindError, match=taken):
            open_listeners(configuration(section("web", *addresses)), [], before.kept, manager)
    assert len(os.listdir("/proc/self/fd")) == number - 1 - 2, "the other one, and those that were kept"
    assert os.path.exists(path), "the service manager has it, for the next attempt"


def test_sockets_of_units_come_first(before, manager, tmp_path):
    before.add("web", "127.0.0.1:0")
    listening = socket.create_server(("127.0.0.1", 0))
    place = listening.getsockname()
    passed = [("web", Fd(listening.detach()))]
    with opened(configuration(section("web", "127.0.0.1:0")), before.kept, manager, passed) as listeners:
        assert [(one.is_passed, one.socket.getsockname()) for one in listeners] == [(True, place)]
    assert len(before.kept.listeners) == 1


def test_a_section_without_an_address_is_an_error(before, manager):
    before.add("web", "127.0.0.1:0")
    with pytest.raises(ActivationError, match=r"\[listen:web\] has no address"):
        open_listeners(configuration(section("web")), [], before.kept, manager)
    assert len(before.kept.listeners) == 1


# Whole servers


def stop(server):
    """End it as systemd does, which reads what it is told."""
    server.process.terminate()
    wait_for_end(server)


def wait_for_end(server):
    pidfd = os.pidfd_open(server.process.pid)
    server.notifications.wait_for_end(pidfd, TIMEOUT)
    os.close(pidfd)
    server.process.wait(TIMEOUT)


def test_a_restart_keeps_listeners_and_connections(serve, keeper):
    with serve("--workers", "2", keeper=keeper) as first:
        clients = [Connection(first.connect()) for _ in range(5)]
        pids = {client.exchange(*REQUEST).json["ppid"] for client in clients}
        assert pids == {first.process.pid}
        stop(first)
        assert first.process.returncode == 0
    assert sorted(name for name, _ in keeper.store) == [
        *["sdserve-connection"] * 5,
        "sdserve-listen-http-1",
        "sdserve-state",
    ]
    clients[0].request("GET", "/")  # which waits
    late = Connection(first.connect())  # so does this
    late.request("GET", "/")
    with serve("--workers", "2", keeper=keeper) as second:
        assert b'"ppid": %d' % second.process.pid in clients[0].getresponse().read()
        assert b'"ppid": %d' % second.process.pid in late.getresponse().read()
        assert {client.exchange(*REQUEST).json["ppid"] for client in clients[1:]} == {second.process.pid}
        assert "5 connections were kept over the restart" in second.stderr()
        assert "generation 2 opened" in second.stderr()
        assert sorted(name for name, _ in keeper.store) == ["sdserve-listen-http-1", "sdserve-state"]
        assert "Traceback" not in second.stderr()
        stop(second)
    for client in (*clients, late):
        client.close()


def test_a_connection_whose_client_leaves_meanwhile_costs_nothing(serve, keeper):
    with serve(keeper=keeper) as first:
        client = Connection(first.connect())
        client.exchange(*REQUEST)
        stop(first)
    client.close()
    assert keeper.count("sdserve-connection") == 1
    with serve(keeper=keeper) as second:
        assert ask(second)["ppid"] == second.process.pid
        assert "Traceback" not in second.stderr()
        stop(second)
        assert second.process.returncode == 0


def test_after_a_supervisor_was_killed_nobody_is_refused(serve, keeper, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with serve(keeper=keeper) as first:
        held = Connection(first.connect())
        held.request("GET", f"/wait?fifo={fifo}")
        with open(fifo, "w"):  # returns when the application has opened it, too
            [worker] = [pid for pid in descendants(first.process.pid) if is_holding(pid, fifo)]
            gone = [os.pidfd_open(worker)]
            first.process.kill()
            wait_for_end(first)
            late = Connection(first.connect())
            late.request("GET", "/")
            with serve(keeper=keeper) as second:
                assert b'"ppid": %d' % second.process.pid in late.getresponse().read()
                said = f"the supervisor before this one died; what it has left drains: {worker}"
                assert said in second.stderr()
                assert ask(second)["ppid"] == second.process.pid
        assert held.getresponse().status == 200
        wait_until_gone(gone)
        stop(second)
        assert second.process.returncode == 0
    held.close(), late.close()


def is_holding(pid, path):
    directory = f"/proc/{pid}/fd"
    return str(path) in [os.readlink(f"{directory}/{name}") for name in os.listdir(directory)]


def test_a_supervisor_that_is_killed_while_it_starts_again_is_no_obstacle(serve, run, keeper, tmp_path):
    with serve(keeper=keeper) as first:
        first.process.kill()
        wait_for_end(first)
    for _ in range(3):
        with run("no_such_module:app", "--bind", f"unix:{tmp_path}/web.sock", keeper=keeper) as broken:
            broken.process.send_signal(signal.SIGKILL)
            wait_for_end(broken)
    with serve(keeper=keeper) as last:
        assert ask(last)["ppid"] == last.process.pid
        assert keeper.count("sdserve-state") == keeper.count("sdserve-listen-http-1") == 1
        stop(last)
        assert last.process.returncode == 0
