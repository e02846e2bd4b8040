from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sdserve.errors import BindError
from sdserve.host import control_socket
from sdserve.host.control_socket import ControlSocket
from sdserve.host.fds import Fd


@pytest.fixture
def run():
    """A short path, in place of /run: that of a unix socket is limited."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


@pytest.fixture
def user(monkeypatch, run):
    """Says who this process is, and which directories its environment names."""
    monkeypatch.setattr(control_socket, "RUN", run)
    for variable in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)

    def user(number, **environment):
        monkeypatch.setattr(os, "geteuid", lambda: number)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)

    return user


def test_root_has_its_place_below_run(user, run):
    user(0, XDG_RUNTIME_DIR="/run/user/0")
    assert control_socket.own_directory("shop") == run / "sdserve/shop"
    assert list(control_socket.directories("shop")) == [
        run / "sdserve/shop",
        Path("/run/user/0/sdserve/shop"),
    ]


def test_others_have_theirs_in_their_session_and_look_at_roots_as_well(user, run):
    user(1000, XDG_RUNTIME_DIR="/run/user/1000")
    assert control_socket.own_directory("shop") == Path("/run/user/1000/sdserve/shop")
    assert list(control_socket.directories("shop"))[1:] == [run / "sdserve/shop"]


def test_without_a_session_there_is_no_place(user, run):
    user(1000)
    assert control_socket.own_directory("shop") is None
    assert list(control_socket.directories("shop")) == [run / "sdserve/shop"]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("/run/sdserve/shop", "/run/sdserve/shop"),
        ("/run/elsewhere", "/run/elsewhere"),
        ("/run/other:/run/sdserve/shop", "/run/sdserve/shop"),
    ],
)
def test_what_the_service_manager_made_comes_first(user, given, taken):
    user(1000, XDG_RUNTIME_DIR="/run/user/1000", RUNTIME_DIRECTORY=given)
    assert control_socket.own_directory("shop") == Path(taken)


def test_below_run_it_may_be_anybodys_if_the_service_manager_made_it(user, run):
    user(1000, RUNTIME_DIRECTORY=str(run / "sdserve/shop"))
    assert control_socket.own_directory("shop") == run / "sdserve/shop"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_is_a_directory_itself_has_no_place(user, name):
    user(0)
    assert control_socket.own_directory(name) is None


def test_its_owner_alone_may_connect_and_nothing_is_left(user, run):
    user(0)
    listening = ControlSocket(control_socket.own_directory("shop"))
    assert listening.path == run / "sdserve/shop/control"
    assert stat.S_IMODE(listening.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(listening.path.parent.stat().st_mode) == 0o700
    with control_socket.connect("shop") as client:
        accepted, _ = listening.socket.accept()
        with accepted:
            assert control_socket.peer_user(accepted) == os.stat(listening.path).st_uid
        assert client.recv(1) == b""
    listening.close()
    listening.close()
    assert list(run.iterdir()) == []


def test_another_program_goes_on_with_it(run):
    listening = ControlSocket(run / "sdserve/shop")
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(str(listening.path))
        # As what passes an execve: the same open files.
        resumed = ControlSocket.resumed(
            listening.path, Fd(os.dup(listening.fileno())), Fd(os.dup(listening.lock())), listening.made
        )
        listening.socket.close()
        os.close(listening.lock())
        late.connect(str(resumed.path))
        for _ in range(2):
            resumed.socket.accept()[0].close()
        with pytest.raises(BlockingIOError):
            resumed.socket.accept()
    with pytest.raises(BindError, match="another instance"):
        ControlSocket(run / "sdserve/shop")
    resumed.close()
    assert resumed.lock() == -1
    assert list(run.iterdir()) == []


def test_who_runs_is_found_where_they_are_looked_for(user, run, tmp_path):
    assert control_socket.running() == []
    user(0)
    both = [ControlSocket(run / "sdserve/web"), ControlSocket(run / "sdserve/api")]
    (run / "sdserve/stopped").mkdir()
    assert control_socket.running() == ["api", "web"]
    user(1000, XDG_RUNTIME_DIR=str(tmp_path))
    both.append(ControlSocket(tmp_path / "sdserve/mine"))
    both.append(ControlSocket(tmp_path / "sdserve/web"))
    assert control_socket.running() == ["api", "mine", "web"]
    for listening in both:
        listening.close()


def test_a_directory_that_was_there_stays(run):
    (run / "given").mkdir()
    listening = ControlSocket(run / "given")
    listening.close()
    assert list(run.iterdir()) == [run / "given"]
    assert list((run / "given").iterdir()) == []


def test_a_second_one_of_the_name_does_not_break_the_first(run):
    first = ControlSocket(run / "a/b")
    with pytest.raises(BindError, match="another instance of that name runs"):
        ControlSocket(run / "a/b")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(first.path))
    first.close()
    second = ControlSocket(run / "a/b")
    second.close()


def test_what_a_killed_one_left_is_no_obstacle(run):
    program = (
        "import os, pathlib, sys; from sdserve.host.control_socket import ControlSocket;"
        "listening = ControlSocket(pathlib.Path(sys.argv[1])); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(run / "a/b")], check=True)
    assert (run / "a/b/control").is_socket()
    listening = ControlSocket(run / "a/b")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(listening.path))
    listening.close()


def test_a_lock_whose_file_was_removed_is_worth_nothing(run, monkeypatch):
    real, removed = os.open, []

    def open_and_lose(path, *arguments, **options):
        number = real(path, *arguments, **options)
        if not removed and str(path).endswith("control.lock"):
            removed.append(path)
            os.unlink(path)
        return number

    monkeypatch.setattr(os, "open", open_and_lose)
    listening = ControlSocket(run / "a")
    assert removed
    with pytest.raises(BindError, match="another instance"):
        ControlSocket(run / "a")
    listening.close()


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("x" * 120, "AF_UNIX path too long"),
        ("missing/one/two", "No such file or directory"),
        ("file/a", "Not a directory"),
    ],
)
def test_where_it_cannot_be_it_says_why(run, place, complaint):
    (run / "file").write_text("")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BindError, match=complaint):
        ControlSocket(run / place)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert [path.name for path in run.iterdir()] == ["file"]


def test_nobody_there_is_told_from_nobody_may(user, run):
    user(1000)
    with pytest.raises(FileNotFoundError):
        control_socket.connect("shop")
    place = run / "sdserve/shop"
    place.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(place / "control"))
    with pytest.raises(FileNotFoundError):
        control_socket.connect("shop")
