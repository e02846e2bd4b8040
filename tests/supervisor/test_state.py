from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sdserve import __version__
from sdserve.core import wire
from sdserve.core.fleet.model import Fleet, Outcome
from sdserve.core.fleet.options import FleetOptions
from sdserve.errors import WireError
from sdserve.host import binding, channel, mailbox, memfd, scoreboard
from sdserve.host.addresses import parse
from sdserve.host.control_socket import ControlSocket
from sdserve.host.signals import Signals
from sdserve.supervisor import observe, state
from sdserve.supervisor.control import Control
from sdserve.supervisor.house import House, Preparation, Prepared, Program, Worker, Zygote

PROGRAM = Program(command=("/new",), arguments=("run", "shop"), identity="new", description="sdserve 2")


class Full:
    """A house of everything: two generations, a zygote, two workers of which one is being born."""

    def __init__(self, house, directory):
        self.house = house
        self.others = {}
        house.prepared[2] = replace(
            house.prepared[1], configuration=replace(house.configuration, environment={"RELEASE": "two"})
        )
        house.fleet = replace(
            house.fleet, last_generation=2, last_reload=Outcome(generation=2, ok=False, text="no", at=5.0)
        )
        house.early_exits[4321] = -9
        house.interface = "asgi"
        house.since = 12.5
        house.mailbox_of(1)
        house.mailbox_of(2)
        ours, self.others["zygote"] = channel.pair()
        # That number is nobody's: who closes a house kills its children alone.
        house.admit_zygote(
            Zygote(generation=1, release=house.prepared[1].release, pid=2**22 + 1, channel=ours)
        )
        for serial, more in (
            (5, {"pid": 2**22 + 2, "started": 77, "changed": ("/a.py",)}),
            (6, {}),
        ):
            ours, self.others[serial] = channel.pair()
            row = house.take_row()
            house.admit_worker(
                Worker(generation=1, serial=serial, slot=serial - 4, row=row, channel=ours, since=3.5, **more)
            )
        house.row_of(house.workers[5]).words[scoreboard.REQUESTS] = 1234
        house.control = Control(
            ControlSocket(directory), house.poller, status=dict, check=self.check, renew=str
        )

    def check(self, token):
        raise AssertionError("nobody asks")

    def descriptors(self):
        return set(state.descriptors(self.house))

    def hand_over(self):
        """Another house of the document, as if it were in the program after an exec."""
        document = json.dumps(state.describe(self.house)).encode()
        self.release()
        saved = state.read(document)
        signals = Signals(())
        return saved, state.rebuild(saved, program=PROGRAM, signals=signals, zygote_command=("-m", "new"))

    def release(self):
        """Forget all descriptors without closing them."""
        house = self.house
        for one in (*house.zygotes.values(), *house.workers.values()):
            one.channel.socket.detach()
        for listener in house.listeners:
            listener.socket.detach()
        for one in house.mailboxes.values():
            one.inlet.detach(), one.outlet.detach()
        house.scoreboard.memory.steal()
        house.zygotes.clear(), house.workers.clear(), house.listeners.clear(), house.mailboxes.clear()


@pytest.fixture
def full(start):
    with TemporaryDirectory(dir="/tmp") as directory:
        house = start().house
        memory = house.scoreboard.memory.dup()
        full = Full(house, Path(directory))
        yield full
        for other in full.others.values():
            other.close()
        house.scoreboard.memory = memory  # that its fixture closes


@pytest.fixture
def document(full):
    return json.loads(json.dumps(state.describe(full.house)))


def read(document):
    return state.read(json.dumps(document).encode())


def test_a_house_is_the_same_in_another_program(full):
    before = full.house
    numbers = full.descriptors() - set(before.control.descriptors())
    described = state.describe(before)
    address = before.listeners[0].socket.getsockname()
    inlet, outlet = (os.dup(one.fileno()) for one in (before.mailboxes[2].inlet, before.mailboxes[2].outlet))
    saved, after = full.hand_over()
    assert (saved.version, saved.protocol) == (__version__, wire.PROTOCOL)
    assert (after.program, after.zygote_command, after.is_introduced) == (PROGRAM, ("-m", "new"), True)
    for name in ("fleet", "configuration", "prepared", "early_exits", "since", "interface"):
        assert getattr(after, name) == getattr(before, name), name
    [listener] = after.listeners
    assert (listener.name, listener.socket.getsockname()) == ("web", address)
    assert os.path.sameopenfile(after.mailboxes[2].inlet.fileno(), inlet)
    assert os.path.sameopenfile(after.mailboxes[2].outlet.fileno(), outlet)
    assert set(after.mailboxes) == {1, 2}
    assert after.row_of(after.workers[5]).words[scoreboard.REQUESTS] == 1234
    assert after.free_rows[-1] == 2
    # And it is written down as it was, but for what this test has no part in.
    again = {**state.describe(after), "control": described["control"]}
    assert again == described
    assert set(state.descriptors(after)) == numbers
    after.close(), after.scoreboard.memory.close()
    os.close(inlet), os.close(outlet)


def test_what_is_taken_over_is_close_on_exec_does_not_block_and_is_heard(full):
    for number in full.descriptors():
        os.set_inheritable(number, True)
    _, after = full.hand_over()
    assert not any(os.get_inheritable(number) for number in state.descriptors(after))
    owners = [*after.zygotes.values(), *after.workers.values()]
    sockets = [one.channel.socket for one in owners] + [one.socket for one in after.listeners]
    sockets += [end for box in after.mailboxes.values() for end in (box.inlet, box.outlet)]
    assert not any(one.getblocking() for one in sockets)
    full.others["zygote"].send(wire.Opened(generation=1))
    full.others[5].send(wire.Ready(generation=1, serial=5))
    ready = dict(after.poller.poll(20))
    assert {after.zygotes[1].channel.fileno(), after.workers[5].channel.fileno()} <= set(ready)
    after.close(), after.scoreboard.memory.close()


def test_channels_that_were_closed_stay_so(full):
    full.house.hang_up(full.house.zygotes[1].channel)
    full.house.hang_up(full.house.workers[5].channel)
    assert -1 not in full.descriptors()
    _, after = full.hand_over()
    assert after.zygotes[1].channel.fileno() == after.workers[5].channel.fileno() == -1
    after.hang_up(after.zygotes[1].channel)
    after.close(), after.scoreboard.memory.close()


def test_connections_that_wait_in_a_mailbox_arrive(full):
    with socket.socket() as connected:
        mailbox.send(full.house.mailboxes[2].inlet, b"packet", connected.fileno())
    _, after = full.hand_over()
    packet, descriptor = mailbox.receive(after.mailboxes[2].outlet)
    with descriptor:
        assert packet == b"packet"
    after.close(), after.scoreboard.memory.close()


def test_unix_sockets_are_removed_by_whoever_has_them_last(full, tmp_path):
    full.house.listeners.append(binding.bind("unix", parse(f"unix:{tmp_path}/web"), backlog=1, mode=0o600))
    _, after = full.hand_over()
    assert (tmp_path / "web").is_socket()
    after.close(), after.scoreboard.memory.close()
    assert not (tmp_path / "web").exists()


def test_a_child_that_prepares_something_is_ended(full):
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    ours, theirs = channel.pair()
    preparation = Preparation(generation=0, pid=child, channel=ours, errors=memfd.create("errors", 0))
    full.house.admit_preparation(preparation)
    _, after = full.hand_over()
    assert after.preparations == {}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    theirs.close()
    after.close(), after.scoreboard.memory.close()


def test_it_can_be_read_without_taking_anything_over(full, document):
    gc.collect()  # of what other tests left
    before = sorted(os.listdir("/proc/self/fd"))
    saved = read(document)
    assert saved.fleet == full.house.fleet
    assert saved.prepared == full.house.prepared
    assert saved.said == document
    assert sorted(os.listdir("/proc/self/fd")) == before


# Who waits at the control socket


def ask(full, method, turns=2, **parameters):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(full.house.control._listener.path))
    client.sendall(json.dumps({"method": f"io.sdserve.{method}", "parameters": parameters}).encode() + b"\0")
    asked = []
    for _ in range(turns):
        asked += full.house.control.take(dict(full.house.poller.poll(20)))
    return client, asked


def test_who_waits_for_an_answer_gets_it_from_the_other_program(full):
    waiting = {}
    for method, parameters in (("Reload", {}), ("Upgrade", {}), ("Scale", {"count": 3})):
        client, [asked] = ask(full, method, **parameters)
        waiting[asked.token] = client
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(str(full.house.control._listener.path))
    assert list(full.house.control.take(dict(full.house.poller.poll(20)))) == []
    control, poller = full.house.control, select.epoll()
    said = json.loads(json.dumps(control.describe()))
    assert sorted(control.descriptors()) == sorted(
        [said["descriptor"], said["lock"], *(one["descriptor"] for one in said["clients"])]
    )
    for client in control._clients.values():
        client.socket.detach()
    control._clients.clear()
    resumed = Control(control._listener, poller, status=lambda: {"name": "shop"}, check=full.check, renew=str)
    resumed.resume(said["clients"], __version__)
    assert dict(poller.poll(0)) == {}, "nobody is listened to who waits"
    answers = {
        "message": {"parameters": {"message": "done"}},
        "ReloadFailed": {"error": "io.sdserve.ReloadFailed", "parameters": {"reason": "done"}},
        "UpgradeFailed": {"error": "io.sdserve.UpgradeFailed", "parameters": {"reason": "done"}},
    }
    reload, upgrade, scale = waiting
    resumed.reply(reload, ok=False, text="done")
    resumed.reply(upgrade, ok=False, text="done")
    resumed.reply(scale, ok=True, text="done")
    assert hear(waiting[reload]) == answers["ReloadFailed"]
    assert hear(waiting[upgrade]) == answers["UpgradeFailed"]
    assert hear(waiting[scale]) == {"parameters": {}}
    # They may go on, and newcomers have tokens of their own.
    waiting[scale].sendall(b'{"method": "io.sdserve.Reload"}\0')
    [asked] = resumed.take(dict(poller.poll(20)))
    assert asked.token > max(waiting)
    # And who has said nothing yet is heard.
    silent.sendall(b'{"method": "io.sdserve.Status"}\0')
    assert list(resumed.take(dict(poller.poll(20)))) == []
    assert hear(silent) == {"parameters": {"status": {"name": "shop"}}}
    for client in (*waiting.values(), silent):
        client.close()
    resumed.close()
    poller.close()
    full.house.control = None


def hear(client):
    client.settimeout(20)
    return json.loads(client.recv(10_000)[:-1])


def test_who_asked_what_a_reload_would_change_has_asked_again(full):
    asked = []
    full.house.control._check = asked.append
    client, _ = ask(full, "Check")
    client.sendall(b'{"method": "io.sdserve.Status"}\0')
    [said] = full.house.control.describe()["clients"]
    [kept] = full.house.control._clients.values()
    said["descriptor"] = os.dup(kept.fileno())
    assert (said["call"], asked) == (None, [1])
    full.house.control._drop(kept)
    resumed = full.house.control
    resumed.resume([said], __version__)
    assert list(resumed.take(dict(full.house.poller.poll(20)))) == []
    assert len(asked) == 2
    resumed.tell_hints(asked[1], ["hint"])
    assert hear(client) == {"parameters": {"hints": ["hint"]}}
    assert list(resumed.take(dict(full.house.poller.poll(20)))) == []
    assert hear(client) == {"parameters": {"status": {}}}
    client.close()


def test_half_a_call_and_half_an_answer_are_handed_over(full):
    ours, client = socket.socketpair()
    said = {"token": 0, "call": None, "is_allowed": True, "has_ended": True}
    halves = {"received": '{"method": "io.sdser\x80', "unsent": '{"parameters": {}}\0'}
    full.house.control.resume([{"descriptor": ours.detach(), **said, **halves}], __version__)
    [written] = full.house.control.describe()["clients"]
    assert {**said, **halves} == {name: written[name] for name in (*said, *halves)}
    assert list(full.house.control.take(dict(full.house.poller.poll(20)))) == []
    assert hear(client) == {"parameters": {}}
    assert client.recv(1) == b""
    client.close()


def test_a_stranger_stays_one(full):
    ours, client = socket.socketpair()
    said = {"token": 0, "call": None, "is_allowed": False, "has_ended": False, "received": "", "unsent": ""}
    full.house.control.resume([{"descriptor": ours.detach(), **said}], __version__)
    client.sendall(b'{"method": "io.sdserve.Reload"}\0')
    assert list(full.house.control.take(dict(full.house.poller.poll(20)))) == []
    assert hear(client)["error"] == "org.varlink.service.PermissionDenied"
    client.close()


def test_who_waits_for_what_only_another_version_knows_is_hung_up_on(full):
    one, other = socket.socketpair()
    call = {"method": "io.sdserve.Dance", "parameters": {}}
    said = {"token": 1, "call": call, "is_allowed": True, "has_ended": False, "received": "", "unsent": ""}
    full.house.control.resume([{"descriptor": one.detach(), **said}], __version__)
    with other:
        assert other.recv(1) == b""
    full.house.control.reply(1, ok=True, text="done")


# Documents of others


def test_a_house_without_a_control_socket_says_so(full):
    full.house.control.close()
    full.house.control = None
    assert state.describe(full.house)["control"] is None
    assert list(state.descriptors(full.house))


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"\xff\xfe", b"[]", b"{}", b"null", b"7", b"[" * 100_000, b'{"format": 1}'],
    ids=lambda content: content[:12],
)
def test_what_is_no_document_is_refused(content):
    with pytest.raises(WireError, match="the state of the supervisor cannot be read: "):
        state.read(content)


def test_another_format_is_refused_by_its_number(document):
    with pytest.raises(WireError, match=f"it has the format 2, this is sdserve {__version__} with 1"):
        read({**document, "format": 2})


def test_what_a_newer_version_adds_is_dropped(document):
    changed = deepcopy(document)
    for place in (
        changed,
        changed["fleet"],
        changed["fleet"]["options"],
        changed["prepared"]["1"],
        changed["prepared"]["1"]["release"],
        changed["listeners"][0],
        changed["workers"][0],
        changed["zygotes"][0],
    ):
        place["colour"] = "blue"
    assert replace(read(changed), said={}) == replace(read(document), said={})


@pytest.mark.parametrize("key", ["version", "protocol", "fleet", "configuration", "prepared"])
def test_what_nobody_can_do_without_is_missed(document, key):
    del document[key]
    with pytest.raises(WireError, match=key):
        read(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("fleet",), []),
        (("fleet", "phase"), "FLYING"),
        (("configuration",), 7),
        (("prepared",), []),
        (("prepared", "one"), {}),
        (("prepared", "1"), {}),
        (("prepared", "1", "release"), 7),
        (("prepared", "1", "configuration"), []),
        (("scoreboard", "words"), 64),
    ],
)
def test_what_makes_no_sense_is_refused(document, place, value):
    changed = document
    for key in place[:-1]:
        changed = changed[key]
    changed[place[-1]] = value
    with pytest.raises(WireError, match="the state of the supervisor cannot be read: "):
        read(document)


def test_a_release_of_an_older_version_has_defaults():
    said = {"directory": "/srv", "python": "/usr/bin/python3"}
    assert state.read_release(said).site_packages == ()
    assert state.read_release(said).venv == ""
    with pytest.raises(KeyError):
        state.read_release({"directory": "/srv"})


def test_an_empty_house_is_a_document(start):
    house = start().house
    saved = read(state.describe(house))
    assert saved.fleet == Fleet(options=FleetOptions())
    assert list(saved.prepared) == [1]
    assert isinstance(saved.prepared[1], Prepared)
    assert isinstance(house, House)
    assert observe.SIGNALS
