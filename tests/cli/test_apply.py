"""What `apply` finds out and says; that it does it is tested with a real systemd."""

from __future__ import annotations

import pytest

from sdserve.errors import UnavailableError
from sdserve.generator import main as generator
from sdserve.host.systemctl import Systemctl

INI = "[app]\napplication = a:b\n[listen:http]\naddress = 127.0.0.1:{}\n"
LOST = (
    "sdserve@shop.service and its sockets are stopped and started, new connections are refused",
    "open are 7 connections, with 2 requests in flight, which have 30s to finish",
)


class Manager:
    """systemctl and the instance: what was asked of the first, what the second says."""

    def __init__(self, etc, generated, instance):
        self.orders = []
        self.runs = True
        self.is_open = True
        self._etc = etc
        self._generated = generated
        self._instance = instance

    def configure(self, port, *, generate=True):
        (self._etc / "shop.ini").write_text(INI.format(port))
        if generate:
            for path, text in generator.wanted(str(self._etc), "shop").items():
                place = self._generated / path
                place.parent.mkdir(exist_ok=True)
                place.write_text(text)

    def serve(self, port, *hints):
        self._instance.answer = {
            "status": {
                "listeners": [{"name": "http", "address": f"127.0.0.1:{port}"}],
                "workers": [{"connections": 3, "in_flight": 2}, {"connections": 4, "in_flight": 0}],
                "hints": hints,
            }
        }

    def run(self, *arguments):
        match arguments[0]:
            case "show":
                return "active\n" if self.runs else "inactive\n"
            case "list-units":
                return "sdserve@shop@old.socket loaded active\n" if self.is_open else ""
        self.orders.append(arguments)
        return ""


@pytest.fixture
def manager(shell, instance, tmp_path, monkeypatch):
    generated = tmp_path / "generated"
    generated.mkdir()
    manager = Manager(shell.etc, generated, instance)
    monkeypatch.setattr(Systemctl, "run", lambda _, *arguments: manager.run(*arguments))
    monkeypatch.setattr(Systemctl, "generated", lambda _: generated)
    return manager


ALL = [
    ("daemon-reload",),
    ("stop", "sdserve@shop.service", "sdserve-sockets@shop.target", "sdserve@shop@old.socket"),
    ("start", "sdserve-sockets@shop.target"),
    ("start", "sdserve@shop.service"),
]


def test_what_is_as_configured_is_left_alone(shell, manager):
    manager.configure(80)
    manager.serve(80)
    assert shell.run("apply", "shop", "--yes") == (
        0,
        ["shop: the sockets are as configured, nothing is interrupted"],
        [],
    )
    assert manager.orders == []


def test_a_changed_address_restarts_the_service_after_saying_so(shell, manager):
    manager.configure(80)
    manager.serve(80)
    manager.configure(81, generate=False)
    said = [
        "shop: [listen:http] no longer at 127.0.0.1:80",
        "shop: [listen:http] at 127.0.0.1:81",
        *LOST,
    ]
    assert shell.run("apply", "shop", "--dry-run") == (0, said, [])
    assert manager.orders == []
    assert shell.run("apply", "shop", "--yes") == (0, said, [])
    assert manager.orders == ALL


def test_a_daemon_reload_before_it_does_not_hide_the_change(shell, manager):
    manager.serve(80)
    manager.configure(81)
    assert shell.run("apply", "shop", "--yes")[0] == 0
    assert manager.orders == ALL


def test_what_only_the_service_knows_counts(shell, manager):
    manager.configure(80)
    manager.serve(80, "a restart is needed for what has changed of listen:http.mode")
    assert shell.run("apply", "shop", "--yes")[1] == list(LOST)
    assert manager.orders == ALL


def test_where_nobody_can_be_asked_yes_is_needed(shell, manager, monkeypatch):
    manager.configure(81)
    manager.serve(80)
    code, _, err = shell.run("apply", "shop")
    assert code == 2
    assert "add --yes" in err[0]
    assert manager.orders == []


@pytest.mark.parametrize(("answer", "code", "orders"), [("y", 0, ALL), ("", 1, [])])
def test_somebody_at_a_terminal_is_asked(shell, manager, monkeypatch, answer, code, orders):
    manager.configure(81)
    manager.serve(80)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert shell.run("apply", "shop")[0] == code
    assert manager.orders == orders


def test_sockets_alone_are_opened_again(shell, manager, instance):
    instance.answer = UnavailableError("it does not run")
    manager.runs = False
    manager.configure(81, generate=False)
    code, out, _ = shell.run("apply", "shop", "--yes")
    assert (code, out[-1]) == (
        0,
        "the sockets of sdserve@shop.service, which does not run, are closed and opened again",
    )
    assert manager.orders == ALL[:3]


def test_where_nothing_runs_systemd_only_has_to_know(shell, manager, instance):
    instance.answer = UnavailableError("it does not run")
    manager.runs = manager.is_open = False
    manager.configure(81, generate=False)
    code, out, _ = shell.run("apply", "shop")
    assert (code, out[-1]) == (
        0,
        "nothing of it runs, nothing is interrupted; start it with: systemctl start sdserve@shop",
    )
    assert manager.orders == [("daemon-reload",)]


@pytest.mark.parametrize(
    ("ini", "mistake"),
    [
        (INI.format("http"), "'http' is no port"),
        (INI.format(0), "a socket unit needs a port"),
        ("[app]\napplication = a:b\n[listen:x]\naddress = /run/sdserve/shop/x\n", "systemd removes"),
    ],
)
def test_a_mistake_interrupts_nothing(shell, manager, ini, mistake):
    manager.serve(80)
    shell.write("etc/shop.ini", ini)
    code, out, err = shell.run("apply", "shop", "--yes")
    assert (code, out, manager.orders) == (78, [], [])
    assert mistake in err[0]


def test_what_is_no_instance_is_refused(shell, manager):
    assert shell.run("apply", "./shop.ini", "--yes")[0] == 2
