"""Commands and signals to a running instance: real supervisors, zygotes and workers, as a user has them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.run.conftest import SOURCE, ask, configure, pids
from tests.serving import ROOT, TIMEOUT, wait_until


def test_a_reload_runs_the_new_code_and_says_so(shop, release, command, tmp_path):
    assert ask(shop)["release"] == "one"
    release("two")
    code, lines = command("reload", "shop")
    assert (code, lines) == (0, ["generation 2 serves with 2 workers"])
    about = ask(shop)
    assert (about["release"], about["cwd"]) == ("two", str(tmp_path / "two"))
    wait_until(lambda: shop.notifications.status == "Serving, 2 of 2 workers ready, generation 2")
    words = [word for word, _ in shop.notifications.messages if word in ("READY", "RELOADING")]
    assert words == ["READY", "RELOADING", "READY"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("syntax error", "SyntaxError"),
        ("raise SystemExit(4)", "sys.exit(4)"),
        ("import os; os._exit(4)", "exit code 4"),
        ("other = 1", "there is no 'application'"),
    ],
)
def test_code_that_does_not_start_changes_nothing(shop, release, command, status, source, reason):
    before = pids(status())
    release("two", source)
    code, lines = command("reload", "shop")
    assert code == 1
    assert reason in "\n".join(lines)
    state = status()
    assert pids(state) == before
    assert not state["last_reload"]["ok"]
    assert [generation["number"] for generation in state["generations"]] == [1]
    assert ask(shop)["release"] == "one"
    release("three")
    assert command("reload", "shop")[0] == 0
    assert ask(shop)["release"] == "three"


def test_a_configuration_that_is_wrong_is_printed_whole_and_changes_nothing(shop, command, status, tmp_path):
    before = pids(status())
    configure(tmp_path, "cuont = 3", "[lgo]")
    code, lines = command("reload", str(tmp_path / "shop.ini"))
    assert code == 1
    assert [line for line in lines if f"{tmp_path}/shop.ini:9: [workers] cuont: unknown option" in line]
    assert [line for line in lines if f"{tmp_path}/shop.ini:10: [lgo]: unknown section" in line]
    assert pids(status()) == before
    assert "a reload would be refused" in "\n".join(command("status", "shop")[1])


def test_a_directory_that_is_gone_changes_nothing(shop, command, status, tmp_path):
    before = pids(status())
    (tmp_path / "current").unlink()
    code, lines = command("reload", "shop")
    assert code == 1
    assert f"directory: {tmp_path}/current does not exist" in "\n".join(lines)
    assert pids(status()) == before


def test_a_worker_that_is_not_ready_in_time_changes_nothing(shop, release, command, status, tmp_path):
    before = pids(status())
    release("two", "import time\ntime.sleep(60)\n")
    configure(tmp_path)
    text = (tmp_path / "shop.ini").read_text()
    (tmp_path / "shop.ini").write_text(text.replace("boot_timeout = 60s", "boot_timeout = 500ms"))
    code, lines = command("reload", "shop")
    assert code == 1
    assert "not ready within 0.5 s" in "\n".join(lines)
    assert pids(status()) == before


def test_what_only_a_restart_changes_is_named_in_the_answer(shop, command, tmp_path):
    configure(tmp_path, "[listen:admin]", f"address = unix:{tmp_path}/admin.sock")
    code, lines = command("reload", "shop")
    assert code == 0
    assert "a restart is needed for what has changed of listen:admin" in "\n".join(lines)


def test_options_environment_and_count_are_read_anew(shop, command, status, tmp_path):
    configure(tmp_path, "[environment]", "COLOUR = blue")
    text = (tmp_path / "shop.ini").read_text().replace("count = 2", "count = 3")
    (tmp_path / "shop.ini").write_text(text)
    assert command("reload", "shop")[0] == 0
    state = status()
    assert state["slots"] == 3
    for pid in pids(state):
        with open(f"/proc/{pid}/environ") as environment:
            assert "COLOUR=blue" in environment.read().split("\0")


def test_scaling_waits_until_there_are_that_many(shop, command, status):
    for count in (4, 1):
        assert command("scale", "shop", str(count)) == (0, [])
        assert len(pids(status())) == count


def test_the_status_is_told_to_people_and_programs(shop, command):
    code, lines = command("status", "shop")
    assert code == 0
    assert lines[0] == "shop: Serving, 2 of 2 workers ready"
    code, lines = command("status", "shop", "--json")
    assert json.loads("\n".join(lines))["slots"] == 2


def test_sighup_reloads(shop, release, status):
    release("two")
    shop.process.send_signal(signal.SIGHUP)
    wait_until(lambda: status()["last_reload"])
    assert ask(shop)["release"] == "two"


def test_sigttin_and_sigttou_change_the_number_by_one(shop, status):
    shop.process.send_signal(signal.SIGTTIN)
    wait_until(lambda: len(pids(status())) == 3)
    shop.process.send_signal(signal.SIGTTOU)
    wait_until(lambda: len(pids(status())) == 2)


def test_a_terminal_that_hangs_up_ends_it(serve):
    leader, terminal = pty.openpty()
    with open(terminal, "rb") as stdin, serve(stdin=stdin, wrapper=["setsid", "--ctty", "--wait"]) as server:
        os.close(leader)
        assert server.process.wait(TIMEOUT) == 0


def test_ctrl_c_leaves_the_reload_going_on(shop, release, status, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    release("two", f"open({str(fifo)!r}).close()\n" + SOURCE)
    client = subprocess.Popen(
        [sys.executable, "-m", "sdserve", "reload", "shop"],
        cwd=ROOT,
        env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with open(fifo, "w"):  # returns when the first worker of the new code has opened it, too
        client.send_signal(signal.SIGINT)
        _, told = client.communicate(timeout=TIMEOUT)
        assert client.returncode == 130
        assert "the reload of shop goes on" in told
        fifo.unlink()
        fifo.write_text("")
    wait_until(lambda: status()["last_reload"])
    assert ask(shop)["release"] == "two"


def test_a_stop_answers_whoever_waits(shop, release, command, status, tmp_path):
    release("two", "import time\ntime.sleep(60)\n")
    client = subprocess.Popen(
        [sys.executable, "-m", "sdserve", "reload", "shop"],
        cwd=ROOT,
        env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: status()["reloading_to"])
    assert shop.stop() == 0
    _, told = client.communicate(timeout=TIMEOUT)
    assert client.returncode == 1
    assert "stopping" in told.lower()


def test_nothing_is_left_of_the_control_socket(shop, command, tmp_path):
    assert (tmp_path / "control").is_socket()
    assert shop.stop() == 0
    assert not (tmp_path / "control").exists()
    assert not (tmp_path / "control.lock").exists()
    assert command("status", "shop") == (69, ["sdserve: shop is not running, or has no control socket"])


def test_a_second_instance_of_the_name_runs_without_and_leaves_the_first_alone(
    shop, run, command, status, tmp_path
):
    text = (tmp_path / "shop.ini").read_text().replace("web.sock", "other.sock")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/shop.ini").write_text(text)
    with run(str(tmp_path / "other/shop.ini")) as second:
        second.wait_until_ready()
        assert "no control socket" in second.stderr()
        assert "another instance of that name runs" in second.stderr()
        assert status()["pid"] == shop.process.pid
        assert second.stop() == 0
    assert status()["pid"] == shop.process.pid


def test_a_killed_one_is_no_obstacle_for_the_next(shop, run, status, tmp_path):
    shop.process.kill()
    shop.process.wait()
    assert (tmp_path / "control").is_socket()
    with run(str(tmp_path / "shop.ini")) as server:
        server.wait_until_ready()
        assert status()["pid"] == server.process.pid
        assert server.stop() == 0


def test_a_worker_that_stands_still_is_killed_and_its_stacks_are_in_the_log(tmp_path, run, release, status):
    stuck = "import time\n" + SOURCE.replace(
        "    start_response", "    stand_still(environ)\n    start_response"
    )
    stuck += 'def stand_still(environ):\n    time.sleep(60 if environ["PATH_INFO"] == "/stuck" else 0)\n'
    release("one", stuck)
    configure(tmp_path, "stall_timeout = 2s")
    with run(str(tmp_path / "shop.ini")) as server:
        server.wait_until_ready()
        before = pids(status())
        with server.connect() as client:
            client.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1) == b""
        wait_until(lambda: len(pids(status())) == 2)
        assert len(pids(status()) & before) == 1
        assert "in stand_still" in server.stderr()
        assert server.stop() == 0
