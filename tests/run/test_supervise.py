"""The whole of it: real supervisors, zygotes and workers, as a user runs them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sdserve.errors import EXIT_BOOT, EXIT_CONFIG, EXIT_OS
from sdserve.host.scoreboard import GENERATION, PID, READY, SLOT, STATE
from tests.run.conftest import APPLICATION, ask, read_scoreboard, wait_until_gone
from tests.serving import ROOT, TIMEOUT, descendants


def below(server):
    """Handles of all processes of a server but the first."""
    return [os.pidfd_open(pid) for pid in descendants(server.process.pid)]


def zygote_of(server):
    """The one child of the supervisor that has never served."""
    workers = {row.words[PID] for row in rows(server)}
    [zygote] = set(descendants(server.process.pid)) - workers
    return zygote


def rows(server):
    board = read_scoreboard(server)
    found = [board.row(index) for index in range(len(board))]
    return [row for row in found if row.words[STATE]]


def test_it_serves_and_ends_in_order(serve):
    with serve("--workers", "2") as server:
        about = ask(server)
        assert about["ppid"] == server.process.pid
        assert about["slot"] in "12"
        assert about["told"] == []  # by the service manager, who talks to the supervisor alone
        assert ("STATUS", "Serving, 2 of 2 workers ready") in server.notifications.messages
        assert server.stop() == 0
    assert not os.path.exists(server.address)
    assert server.notifications.status.startswith("Stopping")
    words = [word for word, _ in server.notifications.messages]
    assert words.index("READY") < words.index("STOPPING")
    assert words.count("READY") == words.count("STOPPING") == 1


def test_the_scoreboard_shows_each_worker(serve):
    with serve("--workers", "2") as server:
        pids = {ask(server)["pid"] for _ in range(20)}
        found = rows(server)
        assert [row.words[STATE] for row in found] == [READY, READY]
        assert sorted(row.words[SLOT] for row in found) == [1, 2]
        assert {row.words[GENERATION] for row in found} == {1}
        assert pids <= {row.words[PID] for row in found}


def test_a_killed_worker_is_replaced_in_its_slot(serve):
    with serve("--workers", "2") as server:
        before = ask(server)
        os.kill(before["pid"], signal.SIGKILL)
        server.wait_for_status("slot . crashed .SIGKILL")
        server.notifications.messages.clear()
        server.wait_for_status("Serving, 2 of 2 workers ready")
        found = rows(server)
        assert before["pid"] not in [row.words[PID] for row in found]
        assert sorted(row.words[SLOT] for row in found) == [1, 2]
        assert server.stop() == 0


def test_a_killed_zygote_is_replaced_and_its_workers_stay(serve):
    with serve() as server:
        worker = ask(server)["pid"]
        os.kill(zygote_of(server), signal.SIGKILL)
        server.wait_for_status("zygote died")
        server.notifications.messages.clear()
        server.wait_for_status("^Serving, 1 of 1 workers ready$")
        assert ask(server)["pid"] == worker
        os.kill(worker, signal.SIGKILL)
        assert ask(server)["pid"] != worker
        assert server.stop() == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_finished(serve, tmp_path, signum):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    answers = []
    with serve() as server:
        client = threading.Thread(target=lambda: answers.append(ask(server, f"/wait?fifo={fifo}")))
        client.start()
        with open(fifo, "w"):  # returns when the application has opened it, too
            server.process.send_signal(signum)
            server.wait_for_status("Stopping, 1 worker draining")
        client.join(TIMEOUT)
        assert server.process.wait(TIMEOUT) == 0
    assert len(answers) == 1


def test_what_was_ignored_at_the_start_stays_so(serve):
    wrapper = ["sh", "-c", 'trap "" INT; exec nohup "$@"', "sh"]  # INT as for a background job
    with serve(wrapper=wrapper) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        [ignored] = re.findall(r"SigIgn:\t(\w+)", status)
        assert int(ignored, 16) & mask(signal.SIGINT, signal.SIGHUP) == mask(signal.SIGINT, signal.SIGHUP)
        for signum in (signal.SIGINT, signal.SIGHUP):
            server.process.send_signal(signum)
        assert ask(server)["slot"] == "1"
        assert server.stop() == 0


def mask(*signums):
    return sum(1 << (signum - 1) for signum in signums)


def test_closed_standard_descriptors_are_nobodys_sockets(serve):
    with serve(wrapper=["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]) as server:
        assert ask(server)["standard"] == [os.devnull] * 3
        assert server.stop() == 0


def test_a_standard_error_that_nobody_reads_holds_up_nothing(serve):
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "wb") as full:
        os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
        with serve(stderr=full) as server:
            os.kill(ask(server)["pid"], signal.SIGKILL)
            server.wait_for_status("slot 1 crashed")
            assert server.stop() == 0


def test_asked_twice_it_waits_for_nobody(serve, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with serve() as server, server.connect() as client:
        client.sendall(f"GET /wait?fifo={fifo} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with open(fifo, "w"):
            gone = below(server)
            server.process.terminate()
            server.wait_for_status("Stopping")
            server.insist()
            assert server.process.wait(TIMEOUT) == 0
            wait_until_gone(gone)


def test_a_supervisor_that_is_killed_leaves_nobody_behind(serve):
    with serve("--workers", "2") as server:
        ask(server)
        gone = below(server)
        assert len(gone) == 3
        server.process.kill()
        wait_until_gone(gone)
        assert server.process.wait() == -signal.SIGKILL
    # What a killed one left is no obstacle for the next.
    assert os.path.exists(server.address)
    with serve() as server:
        assert ask(server)["slot"] == "1"
        assert server.stop() == 0


def test_an_application_that_does_not_import_ends_it(run, tmp_path):
    with run("tests.run.no_such_module:application", "--bind", f"unix:{tmp_path}/web.sock") as server:
        assert server.process.wait(TIMEOUT) == EXIT_BOOT
        assert "no_such_module" in server.stderr()
        assert server.stderr().count("Traceback") <= 1
    assert not os.path.exists(server.address)
    assert "READY" not in [word for word, _ in server.notifications.messages]


def test_a_signal_in_the_last_moment_does_not_change_the_exit_code(tmp_path):
    program = f"""
import atexit, os, signal, sys
from sdserve.cli.main import main
atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))
sys.exit(main(["run", "no_such_module:app", "--bind", "unix:{tmp_path}/web.sock"]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=TIMEOUT, check=False)
    assert done.returncode == EXIT_BOOT


def test_an_address_in_use_ends_it_at_once(run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with run("tests.run.application:application", "--bind", f"127.0.0.1:{port}") as server:
            assert server.process.wait(TIMEOUT) == EXIT_OS
            expected = f"cannot bind 127.0.0.1:{port}: Address already in use, by "
            assert expected in server.stderr()
            assert f"(pid {os.getpid()})" in server.stderr()
            assert "Traceback" not in server.stderr()


def test_a_second_server_does_not_take_the_socket_of_the_first(serve, run):
    with serve() as first:
        with run("tests.run.application:application", "--bind", f"unix:{first.address}") as second:
            assert second.process.wait(TIMEOUT) == EXIT_OS
        assert ask(first)["slot"] == "1"
        assert first.stop() == 0


def test_a_listener_without_an_address_says_what_to_do(run):
    with run("x:y", "--set", "listen:web.backlog=5") as server:
        assert server.process.wait(TIMEOUT) == EXIT_CONFIG
        assert "[listen:web] has no address" in server.stderr()
        assert (
            "write address = HOST:PORT under [listen:web], or start it through its socket" in server.stderr()
        )


def test_more_listeners_than_a_zygote_can_be_given_end_it_at_once(run, tmp_path):
    binds = [word for number in range(252) for word in ("--bind", f"unix:{tmp_path}/{number}")]
    with run("x:y", *binds) as server:
        assert server.process.wait(TIMEOUT) == EXIT_CONFIG
        assert "there are 252 listening sockets, and a process can be given 251" in server.stderr()
    assert not list(tmp_path.iterdir())
    with run(APPLICATION, *binds[:-2]) as server:
        server.wait_until_ready()
        server.address = f"{tmp_path}/250"
        assert ask(server)["slot"] == "1"
        assert server.stop() == 0


@pytest.mark.parametrize("option", ["directory", "venv"])
def test_a_release_that_is_not_there_ends_it_at_once(run, tmp_path, option):
    bind = ["--bind", f"unix:{tmp_path}/web.sock"]
    with run("x:y", *bind, "--set", f"app.{option}={tmp_path}/missing") as server:
        assert server.process.wait(TIMEOUT) == EXIT_CONFIG
        assert f"{option}: {tmp_path}/missing does not exist" in server.stderr()


def test_preloading_imports_once_before_the_fork(serve, tmp_path):
    Path(tmp_path / "counted.py").write_text(
        "import os\n"
        "imported_by = os.getpid()\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'application/json')])\n"
        "    return [b'%d' % imported_by]\n"
    )
    settings = ["--set", "app.preload=yes", "--set", f"app.directory={tmp_path}"]
    with serve("--workers", "2", *settings, application="counted:application") as server:
        assert ask(server) == zygote_of(server)
        assert server.stop() == 0


def test_preloading_an_application_that_leaves_a_thread_ends_it(run, tmp_path):
    Path(tmp_path / "busy.py").write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='exporter', daemon=True).start()\n"
        "def application(environ, start_response): pass\n"
    )
    settings = ["--set", "app.preload=yes", "--set", f"app.directory={tmp_path}"]
    with run("busy:application", "--bind", f"unix:{tmp_path}/web.sock", *settings) as server:
        assert server.process.wait(TIMEOUT) == EXIT_BOOT
        assert "left threads running (exporter)" in server.stderr()


def test_at_a_terminal_it_introduces_itself_and_stops_on_ctrl_c(serve):
    leader, terminal = pty.openpty()
    ctrl_c = b"\x03"
    # In a session whose controlling terminal it is, Ctrl-C reaches every process, not the first alone.
    wrapper = ["setsid", "--ctty", "--wait"]
    with (
        open(terminal, "rb") as stdin,
        open(leader, "r+b", buffering=0) as screen,
        serve(stdin=stdin, stderr=stdin, wrapper=wrapper) as server,
    ):
        shown = read_until(screen, b"Ctrl-C")
        assert b"tests.run.application:application (wsgi)" in shown
        assert f"unix:{server.address}".encode() in shown
        gone = below(server)
        screen.write(ctrl_c)
        assert server.process.wait(TIMEOUT) == 0
        wait_until_gone(gone)


def read_until(screen, text):
    shown = b""
    while text not in shown:
        shown += screen.read(4096)
    return shown
