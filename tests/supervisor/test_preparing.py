from __future__ import annotations

import json
import os
import select
import signal
from dataclasses import replace
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from time import monotonic

import pytest

from sdserve.core.fleet import effects, events
from sdserve.host.control_socket import ControlSocket
from sdserve.supervisor import observe, preparing
from sdserve.supervisor.control import Control
from sdserve.supervisor.house import Program
from tests.supervisor.conftest import children, preparer

NUMBER = 2


@pytest.fixture
def house(start):
    return start().house


class Asked:
    """What comes of an order to prepare a generation."""

    def __init__(self, house):
        self.house = house

    def __call__(self, what="good", *, upgrade=False, fresh=None, **answer):
        self.house.program = preparer(fresh or self.house.configuration, what, **answer)
        assert preparing.prepare(self.house, NUMBER, upgrade=upgrade) == []
        return self.wait()

    def wait(self):
        """All events until the child is gone."""
        told, deadline = [], monotonic() + 20
        while self.house.preparations:
            assert monotonic() < deadline, f"it does not end; {told}"
            told += [
                event
                for event in observe.wait(self.house, deadline)
                if not isinstance(event, events.TimePassed)
            ]
        return told


@pytest.fixture
def asked(house):
    return Asked(house)


def test_what_the_child_has_found_is_the_generation(house, asked):
    fresh = replace(house.configuration, fleet=replace(house.configuration.fleet, count=7))
    before = monotonic()
    assert asked(fresh=fresh) == [events.GenerationPrepared(NUMBER, fresh.fleet)]
    prepared = house.prepared[NUMBER]
    assert (prepared.configuration, prepared.release) == (fresh, house.prepared[1].release)
    assert before <= prepared.since <= monotonic()
    assert prepared.since_ns > house.prepared[1].since_ns


def test_nothing_is_left_of_a_child(house, asked):
    others, before = children(), sorted(os.listdir("/proc/self/fd"))
    for what in ("good", "chatty", "refuse", "die", "leave", "garbage"):
        asked(what)
        assert sorted(os.listdir("/proc/self/fd")) == before
        assert children() == others


def test_the_child_is_started_as_we_were(house, asked, tmp_path, monkeypatch):
    (tmp_path / "tell.py").write_text(
        "import json, os, signal, sys\n"
        "json.dump([sys.argv, os.getcwd(), dict(os.environ),\n"
        "    [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],\n"
        "    {n: os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')\n"
        "     if os.path.exists(f'/proc/self/fd/{n}')}], open('told', 'w'))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")
    monkeypatch.setenv("LISTEN_FDS", "3")
    command = (preparer(house.configuration).command[0], "-P", str(tmp_path / "tell.py"))
    house.program = Program(command=command, arguments=("run", "shop", "-x"), identity="", description="")
    preparing.prepare(house, NUMBER, upgrade=False)
    asked.wait()
    argv, directory, environment, blocked, descriptors = json.loads((tmp_path / "told").read_text())
    assert argv[1:4] == ["run", "shop", "-x"]
    assert argv[4] == preparing.FLAG
    assert directory == str(tmp_path)
    assert "NOTIFY_SOCKET" not in environment
    assert "LISTEN_FDS" not in environment
    assert blocked == []
    opened = {int(number): link for number, link in descriptors.items() if int(number) > 2}
    assert opened.pop(int(argv[5])).startswith("socket:")
    assert not [link for link in opened.values() if link.startswith(("socket:", "/memfd", "anon"))]


def test_a_refusal_has_its_reason(asked):
    assert asked("refuse", reason="shop.ini:3: a\nshop.ini:4: b") == [
        events.GenerationRefused(NUMBER, "shop.ini:3: a\nshop.ini:4: b")
    ]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (
            "die",
            "sdserve as it is installed now cannot take over (exit code 1): ImportError: none of that name",
        ),
        ("leave", "sdserve as it is installed now cannot take over (exit code 0)"),
        ("garbage", "sdserve as it is installed now cannot take over (SIGKILL)"),
        ("other", "sdserve as it is installed now answers Drain"),
    ],
)
def test_a_child_that_does_not_answer_is_a_refusal(house, asked, what, reason):
    [refused] = asked(what)
    assert refused.generation == NUMBER
    assert refused.reason.startswith(reason)
    assert list(house.prepared) == [1]


@pytest.mark.parametrize(
    "answer",
    [
        {"configuration": {"app": 7}},
        {"configuration": {"listen": 7}},
        {"release": {}},
        {"release": {"directory": "/", "python": "/p", "site_packages": 7}},
    ],
)
def test_an_answer_that_makes_no_sense_is_a_refusal(house, asked, answer):
    [refused] = asked(**answer)
    assert "answers what makes no sense" in refused.reason
    assert list(house.prepared) == [1]


def test_what_a_child_wrote_is_in_the_log_and_changes_nothing(house, asked, caplog):
    assert asked("chatty") == [events.GenerationPrepared(NUMBER, house.configuration.fleet)]
    assert "the preparation of generation 2 (pid" in caplog.text
    assert "wrote:\na file was slow" in caplog.text


def test_a_traceback_is_in_the_log(asked, caplog):
    asked("die")
    assert "Traceback (most recent call last)" in caplog.text
    assert 'raise ImportError("none of that name")' in caplog.text


def test_a_child_that_hangs_up_and_lives_is_waited_for_until_it_is_dropped(house, asked):
    house.program = preparer(house.configuration, "deaf")
    assert preparing.prepare(house, NUMBER, upgrade=False) == []
    while house.preparations[NUMBER].channel.fileno() >= 0:
        assert list(observe.wait(house, monotonic() + 20)) == []
    preparing.drop(house, NUMBER)
    preparing.drop(house, NUMBER)
    assert asked.wait() == []


def test_one_that_is_dropped_says_nothing_any_more(house, asked, caplog):
    house.program = preparer(house.configuration, "chatty")
    preparing.prepare(house, NUMBER, upgrade=False)
    os.waitid(os.P_PID, house.preparations[NUMBER].pid, os.WEXITED | os.WNOWAIT)
    preparing.drop(house, NUMBER)  # it has answered, and nobody has heard it
    assert asked.wait() == []
    assert list(house.prepared) == [1]
    assert "slow" not in caplog.text


def test_one_that_nobody_prepares_is_dropped_in_vain(house):
    preparing.drop(house, 77)


@pytest.mark.parametrize(
    ("name", "reason"), [("gone", "No such file or directory"), ("data", "Permission denied")]
)
def test_a_program_that_cannot_be_started_is_a_refusal(house, tmp_path, name, reason):
    (tmp_path / "data").write_text("of no program")
    before = sorted(os.listdir("/proc/self/fd"))
    house.program = replace(house.program, command=(f"{tmp_path}/{name}",))
    reason = f"{tmp_path}/{name}: {reason}"
    assert preparing.prepare(house, NUMBER, upgrade=False) == [
        events.GenerationRefused(NUMBER, f"sdserve cannot be started to read the configuration: {reason}")
    ]
    assert house.preparations == {}
    assert sorted(os.listdir("/proc/self/fd")) == before


# Another program


@pytest.mark.parametrize(
    ("upgrade", "identity", "replaced"),
    [(False, "this", False), (False, "that", True), (True, "this", True), (True, "that", True)],
)
def test_another_program_takes_over_and_so_does_the_same_if_that_was_wanted(
    house, asked, caplog, upgrade, identity, replaced
):
    caplog.set_level("INFO", "sdserve")
    [prepared] = asked(upgrade=upgrade, identity=identity, description="sdserve 2")
    remark = "sdserve 1 was replaced by sdserve 2" if replaced else ""
    assert (prepared.replace_program, prepared.remark) == (replaced, remark)
    said = "sdserve itself has changed, so it is upgraded: sdserve 2 is there now"
    assert (said in caplog.messages) is (identity == "that" and not upgrade)


def test_what_only_a_restart_changes_is_named(house, asked, caplog):
    listen = (replace(house.configuration.listen[0], backlog=7, mode=0o600),)
    fresh = replace(house.configuration, listen=listen)
    remark = "a restart is needed for what has changed of listen:web.backlog, listen:web.mode"
    assert asked(fresh=fresh) == [events.GenerationPrepared(NUMBER, fresh.fleet, remark=remark)]
    assert f"generation 2: {remark}" in caplog.text
    [prepared] = asked(fresh=fresh, upgrade=True, description="sdserve 2")
    assert prepared.remark == f"{remark}\nsdserve 1 was replaced by sdserve 2"


# What a reload would change


class Clients:
    """Who asks an instance's control socket for hints."""

    def __init__(self, house, directory):
        self.house = house
        house.fleet = replace(house.fleet, current=1)
        self.path = f"{directory}/control"
        house.control = Control(
            ControlSocket(Path(directory)),
            house.poller,
            status=dict,
            check=lambda token: preparing.check(house, token),
            renew=str,
        )

    def ask(self):
        client = socket(AF_UNIX)
        client.settimeout(20)
        client.connect(self.path)
        client.sendall(b'{"method": "io.sdserve.Check"}\0')
        return client

    def answer(self, client):
        deadline = monotonic() + 20
        while not select.select([client], [], [], 0)[0]:
            assert monotonic() < deadline, "no answer"
            assert [one for one in observe.wait(self.house, deadline) if one != events.TimePassed()] == []
        with client:
            return json.loads(client.recv(100_000)[:-1])["parameters"]["hints"]


@pytest.fixture
def clients(house):
    with TemporaryDirectory(dir="/tmp") as directory:
        yield Clients(house, directory)


@pytest.mark.parametrize(
    ("what", "answer", "hints"),
    [
        ("good", {}, []),
        (
            "good",
            {"identity": "that", "description": "sdserve 2"},
            ["sdserve itself has changed (sdserve 2 is there now), upgrade or reload to use it"],
        ),
        ("refuse", {"reason": "shop.ini:3: a"}, ["a reload would be refused:\nshop.ini:3: a"]),
        (
            "die",
            {},
            ["sdserve as it is installed now cannot take over (exit code 1): ImportError: none of that name"],
        ),
    ],
)
def test_hints_are_found_out_and_nothing_is_done(house, clients, what, answer, hints):
    house.program = preparer(house.configuration, what, **answer)
    assert clients.answer(clients.ask()) == hints
    assert list(house.prepared) == [1]
    assert house.replacement == 0


def test_all_who_ask_at_once_are_answered_by_one_child(house, clients, tmp_path):
    others = children()
    waiting = [clients.ask() for _ in range(3)]
    while not house.preparations or len(house.preparations[preparing.CHECK].tokens) < 3:
        assert list(observe.wait(house, monotonic() + 20)) == []
    assert len(children() - others) == 1
    assert [clients.answer(client) for client in waiting] == [[], [], []]


def test_one_that_hangs_is_ended_when_somebody_asks_again(house, clients):
    house.program = preparer(house.configuration, "hang")
    first = clients.ask()
    while not house.preparations:
        list(observe.wait(house, monotonic() + 20))
    house.preparations[preparing.CHECK].since -= 61
    second = clients.ask()
    told = [clients.answer(client) for client in (first, second)]
    assert told == [["sdserve as it is installed now cannot take over (SIGKILL)"]] * 2


def test_who_leaves_is_not_told(house, clients):
    house.program = preparer(house.configuration, "hang")
    client = clients.ask()
    while not house.preparations:
        list(observe.wait(house, monotonic() + 20))
    client.close()
    list(observe.wait(house, monotonic() + 20))
    os.kill(house.preparations[preparing.CHECK].pid, signal.SIGKILL)
    while house.preparations:
        assert list(observe.wait(house, monotonic() + 20)) == []


def test_a_check_and_a_generation_are_two_things(house, clients, asked):
    house.program = preparer(house.configuration, "hang")
    client = clients.ask()
    while not house.preparations:
        list(observe.wait(house, monotonic() + 20))
    house.program = preparer(house.configuration)
    assert preparing.prepare(house, NUMBER, upgrade=False) == []
    while NUMBER not in house.prepared:
        list(observe.wait(house, monotonic() + 20))
    client.close()
    os.kill(house.preparations[preparing.CHECK].pid, signal.SIGKILL)
    asked.wait()


def test_a_program_that_cannot_be_started_is_a_hint(house, clients):
    house.program = replace(house.program, command=("/no/such/program",))
    [hint] = clients.answer(clients.ask())
    assert hint.endswith("/no/such/program: No such file or directory")


def test_closing_ends_a_preparation(start):
    supervisor = start()
    others = children()
    supervisor.house.program = preparer(supervisor.house.configuration, "hang")
    supervisor.order(effects.PrepareGeneration(NUMBER))
    assert len(children() - others) == 1
    supervisor.house.close()
    assert children() == others
