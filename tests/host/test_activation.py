"""Real descriptors in a real child, as a service manager passes them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sdserve.errors import ActivationError
from sdserve.host import activation, binding
from sdserve.host.addresses import parse
from sdserve.host.fds import Fd
from tests.serving import PASS_SOCKETS

ROOT = Path(__file__).parents[2]
ADOPT = """
import logging, os, sys
from sdserve.errors import ActivationError
from sdserve.host import activation
from sdserve.host.addresses import describe
logging.basicConfig(stream=sys.stdout, format="%(message)s")
print("activated" if activation.is_activated() else "not activated")
if not activation.is_activated():
    sys.exit()
try:
    passed, kept = activation.take()
    print("kept", *[name for name, _ in kept]) if kept else None
    adopted = activation.adopt(passed, sys.argv[1:])
    for listener in adopted:
        plain = not listener.socket.getblocking() and not os.get_inheritable(listener.socket.fileno())
        where = describe(listener.socket.getsockname(), listener.socket.family)
        print(listener.name, where, "plain" if plain else "odd")
except ActivationError as error:
    print(error)
still_open = []
for number in range(3, 20):
    try:
        os.fstat(number)
        still_open.append(number)
    except OSError:
        pass
print("open", *still_open)
print("left", *[name for name in os.environ if name.startswith("LISTEN_")])
"""


def listener(family, place):
    listening = socket.socket(family)
    listening.bind(place)
    listening.listen()
    return listening


def adopt(passed, wanted):
    """Pass the (name, socket) pairs to a process that wants the names in `wanted`; what it prints."""
    numbers = [item.fileno() for _, item in passed]
    program = [sys.executable, "-c", ADOPT, *wanted]
    done = subprocess.run(
        [
            *(sys.executable, "-ISs", PASS_SOCKETS),
            *(",".join(map(str, numbers)), ":".join(name for name, _ in passed), *program),
        ],
        pass_fds=numbers,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def tcp():
    with listener(socket.AF_INET, ("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def tcp6():
    with listener(socket.AF_INET6, ("::1", 0)) as listening:
        yield listening


@pytest.fixture
def unix(tmp_path):
    with listener(socket.AF_UNIX, f"{tmp_path}/web.sock") as listening:
        yield listening


def test_tcp_tcp6_and_unix_are_told_apart_by_name(tcp, tcp6, unix, tmp_path):
    passed = [("admin", unix), ("web", tcp), ("web", tcp6)]
    assert adopt(passed, ["web", "admin"]) == [
        "activated",
        f"admin unix:{tmp_path}/web.sock plain",
        f"web 127.0.0.1:{tcp.getsockname()[1]} plain",
        f"web [::1]:{tcp6.getsockname()[1]} plain",
        "open 3 4 5",
        "left",
    ]


def test_what_nobody_configured_is_closed_and_said(tcp, tcp6):
    lines = adopt([("web", tcp), ("stored", tcp6)], ["web"])
    assert "descriptor 'stored' was passed but is not configured, closing it" in lines
    assert "open 3" in lines


def test_what_was_kept_is_told_from_what_was_passed(tcp, tcp6, unix):
    passed = [("sdserve-listen-web-1", tcp6), ("web", tcp), ("sdserve-state", unix), ("sdserve", unix)]
    assert adopt(passed, ["web", "sdserve"]) == [
        "activated",
        "kept sdserve-listen-web-1 sdserve-state",
        f"web 127.0.0.1:{tcp.getsockname()[1]} plain",
        f"sdserve unix:{unix.getsockname()} plain",
        "open 3 4 5 6",
        "left",
    ]


def test_what_was_kept_makes_no_socket_activation(tcp):
    lines = adopt([("sdserve-listen-web-1", tcp)], [])
    assert lines == ["activated", "kept sdserve-listen-web-1", "open 3", "left"]


def test_a_listener_without_a_descriptor_is_an_error_that_names_both_sides(tcp):
    lines = adopt([("shop.socket", tcp)], ["web", "admin"])
    assert lines[-3:] == [
        (
            "no descriptor was passed for [listen:admin], [listen:web]; passed were: 'shop.socket'. "
            "Set FileDescriptorName=admin in the socket unit, "
            "or restart that unit if its ListenStream= has changed"
        ),
        "open",
        "left",
    ]


def test_a_datagram_socket_is_no_listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        lines = adopt([("web", datagrams)], ["web"])
    assert "descriptor 'web' is not a listening stream socket" in lines[1]
    assert lines[2:] == ["open", "left"]


def test_a_connection_is_no_listener(tcp):
    with socket.create_connection(tcp.getsockname()) as client:
        assert "not a listening stream socket" in adopt([("web", client)], ["web"])[1]


def test_a_file_is_no_listener(tmp_path):
    with open(tmp_path / "file", "w") as file:
        lines = adopt([("web", file)], ["web"])
    assert "descriptor 'web' is not a socket" in lines[1]
    assert lines[2:] == ["open", "left"]


def test_descriptors_meant_for_another_process_are_not_ours():
    done = subprocess.run(
        [sys.executable, "-c", ADOPT, "web"],
        env={**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.split("\n")[0] == "not activated"


@pytest.mark.parametrize(
    ("variables", "given", "reason"),
    [
        ({"LISTEN_FDS": "abc"}, "LISTEN_FDS='abc'", "Invalid argument"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS='-1'", "Invalid argument"),
        ({"LISTEN_FDS": "1"}, "LISTEN_FDS='1'", "Bad file descriptor"),
    ],
)
def test_variables_that_are_wrong_are_named(variables, given, reason):
    own_pid = f"import os; os.environ['LISTEN_PID'] = str(os.getpid())\n{ADOPT}"
    done = subprocess.run(
        [sys.executable, "-c", own_pid, "web"],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.splitlines()[1].startswith(
        f"the descriptors that {given} tells of cannot be taken over: {reason}. LISTEN_FDS is how many"
    )


# Listeners that were kept


@pytest.fixture
def at(tmp_path):
    """Makes the descriptor of a listener of ours, as it comes back, and the file that was made for it."""
    made = []

    def at(address):
        listener = binding.bind("web", parse(address), backlog=5, mode=0o600)
        descriptor = Fd(listener.socket.detach())
        made.append(descriptor)
        return descriptor, listener.created

    yield at
    for descriptor in made:
        descriptor.close()


def port_of(descriptor):
    with socket.socket(fileno=os.dup(descriptor.fileno())) as copy:
        return copy.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "others"), [("127.0.0.1", ["127.0.0.2", "0.0.0.0", "[::1]"]), ("[::1]", ["[::]"])]
)
def test_a_tcp_listener_is_where_it_was_bound(at, host, others):
    descriptor, created = at(f"{host}:0")
    port = port_of(descriptor)
    assert created is None
    assert activation.is_at(descriptor, parse(f"{host}:{port}"), None)
    assert activation.is_at(descriptor, parse(f"{host}:0"), None), "any port will do"
    assert not activation.is_at(descriptor, parse(f"{host}:{port ^ 1}"), None)
    for other in others:
        assert not activation.is_at(descriptor, parse(f"{other}:{port}"), None)
    assert not activation.is_at(descriptor, parse(f"localhost:{port}"), None), "a name may mean another"
    assert not activation.is_at(descriptor, parse("unix:/run/web.sock"), None)
    assert descriptor.fileno() >= 0, "borrowed"


def test_an_address_is_compared_as_a_number(at):
    descriptor, _ = at("[::1]:0")
    assert activation.is_at(descriptor, parse(f"[0:0:0:0:0:0:0:1]:{port_of(descriptor)}"), None)


def test_a_unix_listener_is_where_its_own_file_is(at, tmp_path):
    path = tmp_path / "web.sock"
    address = parse(f"unix:{path}")
    descriptor, created = at(str(address))
    assert activation.is_at(descriptor, address, created)
    assert not activation.is_at(descriptor, parse(f"unix:{tmp_path}/other.sock"), created)
    assert not activation.is_at(descriptor, parse("127.0.0.1:0"), created)
    assert not activation.is_at(descriptor, address, None), "nobody has written down which file it was"
    assert not activation.is_at(descriptor, address, (created[0], created[1] + 1))
    os.rename(path, tmp_path / "moved")
    assert not activation.is_at(descriptor, address, created), "nobody finds it any more"
    other, _ = at(str(address))
    assert not activation.is_at(descriptor, address, created), "it is another one's file"
    assert other.fileno() != descriptor.fileno()


def test_what_is_no_socket_is_nowhere(tmp_path):
    with open(tmp_path / "file", "w") as file:
        descriptor = Fd(os.dup(file.fileno()))
        with descriptor:
            assert not activation.is_at(descriptor, parse("127.0.0.1:0"), None)
            assert not activation.is_at(descriptor, parse(f"unix:{tmp_path}/file"), (1, 2))


def test_a_kept_listener_is_taken_over_for_its_section(at, tmp_path):
    descriptor, created = at(f"unix:{tmp_path}/web.sock")
    listener = activation.readopt("shop", "sdserve-listen-web-1", descriptor, created)
    assert (listener.name, listener.kept, listener.is_passed) == ("shop", "sdserve-listen-web-1", False)
    assert not listener.socket.getblocking()
    with pytest.raises(ValueError, match="given away"):
        descriptor.fileno()
    listener.close()
    assert os.path.exists(tmp_path / "web.sock"), "by which whoever comes next is reached"


def test_what_was_kept_and_is_no_listener_is_an_error():
    with socket.socket() as connected:
        descriptor = Fd(os.dup(connected.fileno()))
        with pytest.raises(ActivationError, match="'sdserve-listen-web-1' is not a listening stream socket"):
            activation.readopt("web", "sdserve-listen-web-1", descriptor, None)
        with pytest.raises(ValueError, match="given away"):
            descriptor.fileno()  # and it is closed
