"""What else goes on during an upgrade in place, and where it runs."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from sdserve.host.control_client import call
from tests.run.conftest import SOURCE, ask, configure, pids
from tests.run.installed import Load, everybody, process_status, went_on
from tests.serving import TIMEOUT, descendants, wait_until


@pytest.fixture
def shop(started):
    with started() as server:
        yield server


# What else goes on


def test_two_who_ask_at_once_are_both_answered(shop, upgrade, status):
    clients = [upgrade(), upgrade()]
    for client in clients:
        told, _ = client.communicate(timeout=3 * TIMEOUT)
        assert client.returncode == 0, told
    assert status()["last_reload"]["ok"]


def test_an_upgrade_takes_the_place_of_a_reload(shop, release, upgrade, status, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    release("two", f"open({str(fifo)!r}).read()\n" + SOURCE)
    reload = upgrade("reload")
    with open(fifo, "w"):  # returns when the first worker of the new code has opened it, too
        assert status()["reloading_to"] == 2
        fifo.unlink()
        fifo.write_text("")
        both = [reload, upgrade()]
        wait_until(lambda: status()["reloading_to"] == 3)
        told = [client.communicate(timeout=3 * TIMEOUT)[0] for client in both]
    assert [client.returncode for client in both] == [0, 0], told
    assert went_on(shop)
    assert [text.splitlines()[0] for text in told] == ["generation 3 serves with 2 workers"] * 2
    assert ask(shop)["release"] == "two"


def test_a_reload_takes_the_place_of_an_upgrade_and_is_one(shop, release, upgrade, status, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    release("two", f"open({str(fifo)!r}).read()\n" + SOURCE)
    first = upgrade()
    with open(fifo, "w"):
        assert went_on(shop)
        fifo.unlink()
        fifo.write_text("")
        both = [first, upgrade("reload")]
        wait_until(lambda: status()["reloading_to"] == 3)
        told = [client.communicate(timeout=3 * TIMEOUT)[0] for client in both]
    assert [client.returncode for client in both] == [0, 0], told
    assert ask(shop)["release"] == "two"


def test_a_status_is_told_all_the_time(shop, tmp_path, monkeypatch, upgrade):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    for _ in range(2):
        client = upgrade()
        while client.poll() is None:
            assert call("shop", "Status", timeout=TIMEOUT)["status"]["name"] == "shop"
        assert client.communicate()[0].startswith("generation")
        assert client.returncode == 0


@pytest.mark.parametrize("said", ["upgrading to generation 2", "sdserve is replaced", "goes on in place of"])
def test_a_stop_right_behind_it_is_a_stop(shop, upgrade, said):
    client = upgrade()
    wait_until(lambda: said in shop.stderr())
    assert shop.stop() == 0
    told, _ = client.communicate(timeout=TIMEOUT)
    assert client.returncode == 1
    assert "stopping" in told.lower()
    assert "Traceback" not in shop.stderr()


def test_a_stop_in_the_same_moment_is_a_stop(shop):
    shop.process.send_signal(signal.SIGUSR2)
    assert shop.stop() == 0


def test_children_that_die_while_it_is_replaced_are_missed(shop, upgrade, status):
    before = pids(status())
    client = upgrade()
    wait_until(lambda: "sdserve is replaced" in shop.stderr())
    for pid in before:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    told, _ = client.communicate(timeout=3 * TIMEOUT)
    assert client.returncode == 0, told
    wait_until(lambda: len(pids(status())) == 2)
    assert [process_status(pid, "State") for pid in everybody(shop)].count("Z") == 0


def test_what_a_reload_would_change_is_found_out_although_it_is_replaced(
    shop, installed, upgrade, command, tmp_path
):
    gate = tmp_path / "gate"
    gate.touch()
    installed.edit(
        "run/prepare.py",
        "    configuration = load()\n",
        "    import os, time\n"
        f"    while not received.message.generation and os.path.exists({str(gate)!r}):\n"
        "        time.sleep(0.01)\n"
        "    configuration = load()\n",
    )
    asking = upgrade("status", "--timeout", "60s")
    wait_until(lambda: len(descendants(shop.process.pid)) == 4)
    assert command("upgrade", "shop")[0] == 0
    assert went_on(shop)
    assert asking.poll() is None
    gate.unlink()
    told, _ = asking.communicate(timeout=3 * TIMEOUT)
    assert asking.returncode == 0
    assert "shop: Serving" in told
    assert "not known" not in told
    wait_until(lambda: len(descendants(shop.process.pid)) == 3)


# Where it runs


def test_without_a_control_socket_there_is_the_signal(run, installed, release, tmp_path):
    release("one")
    configure(tmp_path)
    (tmp_path / "control.lock").mkdir()
    with (
        run(f"{tmp_path}/shop.ini", program=[str(installed.script)]) as server,
        server.notifications.read_all_the_time(),
    ):
        server.wait_until_ready()
        assert "no control socket" in server.stderr()
        with Load(server):
            server.process.send_signal(signal.SIGUSR2)
            wait_until(lambda: went_on(server))
            server.wait_for_status("generation 2$")
        assert server.stop() == 0


def test_closed_standard_descriptors_are_no_obstacle(started, command):
    with started(wrapper=["sh", "-c", 'exec "$@" 0<&- 1>&-', "sh"]) as server:
        for _ in range(2):
            assert command("upgrade", "shop")[0] == 0
        links = [os.readlink(f"/proc/{server.process.pid}/fd/{number}") for number in range(2)]
        assert links == [os.devnull] * 2
        assert ask(server)["release"] == "one"


def test_a_preloaded_application_is_loaded_anew(started, release, command, tmp_path):
    (tmp_path / "shop.ini.d").mkdir()
    (tmp_path / "shop.ini.d/preload.conf").write_text("[app]\npreload = yes\n")
    with started() as server:
        release("two")
        with Load(server):
            assert command("upgrade", "shop")[0] == 0
        assert ask(server)["release"] == "two"


def test_a_control_socket_is_left_clean(shop, command, tmp_path):
    assert command("upgrade", "shop")[0] == 0
    assert shop.stop() == 0
    assert not (tmp_path / "control").exists()
    assert not (tmp_path / "control.lock").exists()
    assert not (tmp_path / "web.sock").exists()
