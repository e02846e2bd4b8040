"""Real descriptors in a real child, as a service manager passes them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

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
