from __future__ import annotations

import json

import pytest

from sdserve.cli import status
from sdserve.errors import UnavailableError, WireError

STATE = {
    "name": "shop",
    "version": "1.2",
    "pid": 100,
    "phase": "serving",
    "status": "Serving, 1 of 2 workers ready",
    "age": 93784.2,
    "slots": 2,
    "reloading_to": None,
    "last_reload": {"generation": 3, "ok": False, "text": "no module\nshop", "age": 61.0},
    "generations": [
        {
            "number": 2,
            "role": "current",
            "opened_for": "reload",
            "application": "shop.wsgi:application",
            "directory": "/srv/shop/42",
            "venv": "/srv/venv",
            "age": 7200.0,
            "zygote": "open",
            "zygote_pid": 101,
            "trouble": "",
        },
        {
            "number": 3,
            "role": "candidate",
            "opened_for": "reload",
            "application": "",
            "directory": "",
            "venv": "",
            "age": 0.0,
            "zygote": "absent",
            "zygote_pid": None,
            "trouble": "died\nof it",
        },
    ],
    "listeners": [{"name": "http", "address": "127.0.0.1:8000"}],
    "certificates": [
        {
            "listener": "http",
            "file": "/etc/a.pem",
            "names": ["a.example", "b.example"],
            "not_after": 1_800_000_000,
            "expires_in": 90_061.5,
        },
        {"listener": "http", "file": "/b.pem", "names": ["c"], "not_after": 1, "expires_in": -3600.0},
    ],
    "workers": [
        {
            "slot": 1,
            "serial": 7,
            "generation": 2,
            "pid": 1234567,
            "state": "ready",
            "age": 59.9,
            "requests": 123456,
            "in_flight": 2,
            "connections": 30,
            "changed": [],
        },
        {
            "slot": 0,
            "serial": 8,
            "generation": 2,
            "pid": None,
            "state": "forking",
            "age": 0.0,
            "requests": 0,
            "in_flight": 0,
            "connections": 0,
            "changed": [],
        },
    ],
    "hints": ["the configuration has errors, a reload would be refused:\nshop.ini:3: wrong"],
}
REPORT = """\
shop: Serving, 1 of 2 workers ready
sdserve 1.2, pid 100, for 1 d 2 h

Generations
  2 (current): shop.wsgi:application
     directory /srv/shop/42, venv /srv/venv
     opened for reload 2 h ago, zygote open (pid 101)
  3 (candidate): not prepared yet
     opened for reload 0 s ago, zygote absent, died

Listening
  http: 127.0.0.1:8000

Certificates
  http: a.example, b.example, expires in 1 d 1 h (/etc/a.pem)
  http: c, expired 1 h ago (/b.pem)

Workers
  SLOT  PID      GENERATION  STATE    AGE   REQUESTS  IN FLIGHT  CONNECTIONS
  1     1234567  2           ready    59 s  123456    2          30
  -     -        2           forking  0 s   0         0          0

Last reload
  to generation 3 failed 1 min 1 s ago
    no module
    shop

Hints
  the configuration has errors, a reload would be refused:
  shop.ini:3: wrong"""


@pytest.fixture(autouse=True)
def nothing_to_hint_at(instance):
    instance.answers["Check"] = {"hints": []}


def test_the_status_is_a_report(shell, instance):
    instance.answer = {"status": STATE}
    code, lines, _ = shell.run("status", "shop")
    assert (code, "\n".join(lines)) == (0, REPORT)


def test_the_status_is_one_object_for_programs(shell, instance):
    instance.answer = {"status": STATE}
    code, lines, _ = shell.run("status", "shop", "--json")
    assert (code, json.loads("\n".join(lines))) == (0, STATE)


def test_what_a_reload_would_change_is_asked_for_and_told_last(shell, instance):
    instance.answer = {"status": {**STATE, "hints": ["this"]}}
    instance.answers["Check"] = {"hints": ["that\nand more"]}
    assert shell.run("status", "shop")[1][-4:] == ["Hints", "  this", "  that", "  and more"]
    assert instance.calls == [("shop", "Status", None, None), ("shop", "Check", None, 10.0)]
    shell.run("status", "shop", "--timeout", "1m")
    assert instance.calls[2:] == [("shop", "Status", None, 60.0), ("shop", "Check", None, 60.0)]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (WireError("it does not know that"), []),
        (UnavailableError("too slow"), ["Hints", "  what a reload would change is not known: too slow"]),
    ],
)
def test_a_status_does_not_need_to_know_what_a_reload_would_change(shell, instance, failure, told):
    instance.answer = {"status": {**STATE, "hints": []}}
    instance.answers["Check"] = failure
    code, lines, _ = shell.run("status", "shop")
    assert code == 0
    assert "\n".join(lines).partition("    shop\n\n")[2].splitlines() == told


def test_a_status_leaves_out_what_is_not_there(shell, instance):
    empty = {
        "last_reload": None,
        "generations": [],
        "workers": [],
        "listeners": [],
        "certificates": [],
        "hints": [],
        "status": "",
    }
    instance.answer = {"status": {**STATE, **empty, "phase": "new"}}
    assert shell.run("status", "shop")[1] == ["shop: new", "sdserve 1.2, pid 100, for 1 d 2 h"]


def test_an_instance_that_does_not_know_certificates_has_none(shell, instance):
    """It may be older than the command."""
    instance.answer = {"status": {name: value for name, value in STATE.items() if name != "certificates"}}
    assert "Certificates" not in shell.run("status", "shop")[1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3605, "1 h"),
        (90061, "1 d 1 h"),
        (86400, "1 d"),
    ],
)
def test_ages_have_two_units_at_most(seconds, text):
    assert status.age(seconds) == text
