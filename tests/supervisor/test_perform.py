from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from time import monotonic

import pytest

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.host.channel import Received
from sdserve.host.control_socket import ControlSocket
from sdserve.host.scoreboard import READY, STATE
from sdserve.supervisor import banner, observe
from sdserve.supervisor.control import Control
from sdserve.supervisor.house import ROWS, Prepared
from sdserve.supervisor.perform import _PERFORMERS, perform
from tests.notify_socket import NotifySocket
from tests.supervisor.conftest import freeze, observed, preparer


def test_every_effect_has_its_performer():
    assert set(_PERFORMERS) == set(effects.Effect.__args__)


def fork(supervisor, serial=1, slot=1):
    """Order a worker and wait until it is ready; its pid."""
    assert supervisor.order(effects.Fork(generation=1, serial=serial, slot=slot)) == []
    forked = supervisor.wait_for(events.WorkerForked)
    ready = supervisor.wait_for(events.WorkerReady)
    assert (forked.serial, ready.serial) == (serial, serial)
    return forked.pid


def test_a_worker_is_forked_and_serves(opened):
    pid = fork(opened)
    assert opened.ask()["pid"] == pid
    assert opened.house.interface == "wsgi"
    assert opened.house.scoreboard.row(0).words[STATE] == READY


def test_workers_have_rows_of_their_own_which_are_used_again(opened):
    for serial in (1, 2):
        fork(opened, serial, slot=serial)
    assert [worker.row for worker in opened.house.workers.values()] == [0, 1]
    opened.order(effects.Kill(1, 1))
    opened.wait_for(events.WorkerExited)
    assert opened.house.scoreboard.row(0).words.tolist() == [0] * 32
    fork(opened, 3)
    assert opened.house.workers[3].row == 0


def test_drained_workers_end_by_themselves(opened):
    fork(opened)
    assert opened.order(effects.Drain(1, 1)) == []
    assert opened.wait_for(events.WorkerExited) == events.WorkerExited(generation=1, serial=1, status=0)
    assert opened.house.workers == {}


def pending_signals(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    [bits] = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("ShdPnd:")]
    return [signum for signum in signal.valid_signals() if bits & 1 << signum - 1]


def test_a_worker_is_told_to_serve(opened):
    with observed(opened, 1) as first:
        assert opened.order(effects.Serve(1, 1)) == []
        assert first.receive() == Received(wire.Serve(generation=1, serial=1))


def test_a_worker_that_drains_is_told_where_its_connections_go(opened):
    with observed(opened, 1) as first:
        assert opened.order(effects.Drain(1, 1, heir=4)) == []
        received = first.receive()
        assert received.message == wire.Drain(generation=1, serial=1, heir=4)
        (inlet,) = received.descriptors
        assert os.path.sameopenfile(inlet.fileno(), opened.house.mailboxes[4].inlet.fileno())
        inlet.close()
        opened.order(effects.Drain(1, 1, heir=0))
        assert first.receive() == Received(wire.Drain(generation=1, serial=1))


def test_killed_workers_say_so(start):
    supervisor = start("deaf")
    supervisor.order(effects.OpenGeneration(1))
    supervisor.wait_for(events.ZygoteReady)
    fork(supervisor)
    supervisor.order(effects.Drain(1, 1))
    supervisor.order(effects.Kill(1, 1))
    assert supervisor.wait_for(events.WorkerExited).status == -signal.SIGKILL


def test_orders_about_the_departed_do_nothing(opened):
    for effect in (
        effects.Serve(1, 9),
        effects.Drain(1, 9),
        effects.Dump(1, 9),
        effects.DropGeneration(9),
        effects.Reply(9, ok=True, text="done"),
        effects.Kill(1, 9),
        effects.KillZygote(9),
        effects.CloseGeneration(9),
    ):
        assert opened.order(effect) == []
    assert opened.order(effects.Fork(generation=9, serial=1, slot=1)) == []
    assert opened.house.workers == {}


def test_a_zygote_that_is_let_go_exits(opened):
    assert opened.order(effects.CloseGeneration(1)) == []
    assert opened.wait_for(events.ZygoteExited) == events.ZygoteExited(1, 0)
    assert opened.house.zygotes == {}
    assert list(opened.house.prepared) == [1], "kept for another one"
    assert opened.order(effects.DropGeneration(1)) == []
    assert opened.house.prepared == {}


def test_a_zygote_that_is_killed_leaves_its_workers(opened):
    pid = fork(opened)
    opened.order(effects.KillZygote(1))
    assert opened.wait_for(events.ZygoteExited) == events.ZygoteExited(1, -signal.SIGKILL)
    assert opened.ask()["pid"] == pid


def test_a_second_zygote_of_a_generation_runs_what_the_first_ran(start, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "current").symlink_to("one")
    supervisor = start()
    configuration = replace_directory(supervisor.house.configuration, tmp_path / "current")
    supervisor.house.prepared[1] = Prepared.of(configuration)
    supervisor.order(effects.OpenGeneration(1))
    supervisor.wait_for(events.ZygoteReady)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("two")
    supervisor.order(effects.KillZygote(1))
    supervisor.wait_for(events.ZygoteExited)
    supervisor.order(effects.OpenGeneration(1))
    supervisor.wait_for(events.ZygoteReady)
    fork(supervisor)
    assert supervisor.ask()["cwd"] == str(tmp_path / "one")


def replace_directory(configuration, directory):
    return replace(configuration, app=replace(configuration.app, directory=str(directory)))


def test_a_generation_is_opened_as_it_was_prepared(opened, tmp_path):
    (tmp_path / "two").mkdir()
    house = opened.house
    fresh = replace_directory(house.configuration, tmp_path / "two")
    fresh = replace(fresh, environment={**fresh.environment, "RELEASE": "two"})
    house.program = preparer(fresh)
    assert opened.order(effects.PrepareGeneration(2)) == []
    assert opened.wait_for(events.GenerationPrepared) == events.GenerationPrepared(2, fresh.fleet)
    house.program = preparer(fresh, "die")  # it is not read again
    opened.order(effects.OpenGeneration(2))
    assert opened.wait_for(events.ZygoteReady) == events.ZygoteReady(2)
    for generation, serial in ((1, 1), (2, 2)):
        opened.order(effects.Fork(generation=generation, serial=serial, slot=1))
        opened.wait_for(events.WorkerReady)
    about = {told["generation"]: told for told in opened.ask_all(2)}
    assert about[1]["cwd"] == str(tmp_path)
    assert "RELEASE" not in about[1]["environment"]
    assert about[2]["cwd"] == str(tmp_path / "two")
    assert about[2]["environment"]["RELEASE"] == "two"


def test_a_generation_that_is_dropped_is_prepared_no_further(opened):
    opened.house.program = preparer(opened.house.configuration, "hang")
    opened.order(effects.PrepareGeneration(2))
    assert opened.order(effects.DropGeneration(2)) == []
    while opened.house.preparations:
        assert list(observe.wait(opened.house, monotonic() + 20)) == []


def test_the_program_is_replaced_when_everything_else_is_done(opened):
    assert opened.order(effects.ReplaceProgram(2)) == []
    assert opened.house.replacement == 2
    opened.order(effects.DropGeneration(1))
    assert opened.house.replacement == 2
    opened.order(effects.DropGeneration(2))
    assert opened.house.replacement == 0


def test_an_interpreter_that_cannot_be_started_is_a_failed_zygote(supervisor, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    house = supervisor.house
    house.prepared[2] = Prepared.of(house.configuration)
    [failed] = supervisor.order(effects.OpenGeneration(2))
    assert failed.generation == 2
    assert "its interpreter cannot be started" in failed.reason


def test_without_descriptors_the_reason_says_which_limit_to_raise(opened, no_descriptors):
    opened.house.prepared[2] = opened.house.prepared[1]
    [failed] = opened.order(effects.OpenGeneration(2))
    assert failed == events.ZygoteNotStarted(
        2, "its interpreter cannot be started: Too many open files; raise LimitNOFILE="
    )


def test_a_configuration_that_fits_no_message_is_a_failed_zygote(supervisor):
    supervisor.house.configuration.environment["HUGE"] = "x" * 100_000
    supervisor.house.configuration.environment["HUGER"] = "x" * 100_000
    supervisor.house.prepared[2] = supervisor.house.prepared[1]
    [failed] = supervisor.order(effects.OpenGeneration(2))
    assert "more than the 196,608 of a packet" in failed.reason
    assert 2 not in supervisor.house.zygotes


def test_a_full_scoreboard_is_a_failed_fork(opened):
    opened.house.free_rows.clear()
    [failed] = opened.order(effects.Fork(generation=1, serial=1, slot=1))
    assert failed.reason == "the scoreboard is full"


def test_a_worker_that_is_to_be_killed_before_its_birth_is_announced_all_the_same(opened):
    zygote = opened.house.zygotes[1].pid
    freeze(zygote)
    opened.order(effects.Fork(generation=1, serial=1, slot=1))
    assert opened.order(effects.Kill(1, 1)) == []
    os.kill(zygote, signal.SIGCONT)
    assert opened.wait_for(events.WorkerForked).serial == 1


def test_a_dead_zygote_answers_with_its_exit_alone(opened):
    zygote = opened.house.zygotes[1].pid
    os.kill(zygote, signal.SIGKILL)
    os.waitid(os.P_PID, zygote, os.WEXITED | os.WNOWAIT)
    assert opened.order(effects.Fork(generation=1, serial=1, slot=1)) == []
    assert opened.wait_for(events.ForkFailed, events.ZygoteExited) == events.ZygoteExited(1, -signal.SIGKILL)
    assert opened.house.workers == {}
    assert len(opened.house.free_rows) == ROWS


@pytest.mark.parametrize("order", [effects.Fork(generation=1, serial=1, slot=1), effects.CloseGeneration(1)])
def test_a_zygote_that_hung_up_and_lives_is_killed_when_it_is_needed(start, tmp_path, order):
    (tmp_path / "deaf.py").write_text("import os, sys, time; os.close(int(sys.argv[1])); time.sleep(60)")
    supervisor = start(command=(str(tmp_path / "deaf.py"),))
    supervisor.order(effects.OpenGeneration(1))
    while supervisor.house.zygotes[1].channel.fileno() >= 0:
        assert list(observe.wait(supervisor.house, monotonic() + 20)) == []
    assert supervisor.order(order) == []
    assert supervisor.wait_for(events.ZygoteExited) == events.ZygoteExited(1, -signal.SIGKILL)


def test_the_service_manager_hears_what_the_fleet_says(supervisor, monkeypatch):
    manager = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    before = monotonic()
    for effect in (
        effects.NotifyStatus("Booting"),
        effects.NotifyReady(),
        effects.NotifyReloading(),
        effects.ExtendTimeout(1.5),
        effects.NotifyStopping(),
    ):
        assert supervisor.order(effect) == []
    assert manager.status == "Booting"
    told = dict(manager.messages)
    assert before <= float(told.pop("MONOTONIC_USEC")) / 1e6 <= monotonic()
    assert list(told.items()) == [
        ("STATUS", "Booting"),
        ("READY", "1"),
        ("RELOADING", "1"),
        ("EXTEND_TIMEOUT_USEC", "1500000"),
        ("STOPPING", "1"),
    ]
    manager.close()


def test_the_banner_is_shown_once(supervisor, monkeypatch):
    shown = []
    monkeypatch.setattr(banner, "show", shown.append)
    supervisor.order(effects.NotifyReady())
    supervisor.order(effects.NotifyReady())
    assert shown == [supervisor.house]


def test_the_level_of_the_log_is_that_of_the_generation_that_serves(opened, caplog):
    caplog.set_level("INFO", "sdserve")  # and back at the end
    house = opened.house
    before = house.configuration
    house.prepared[2] = Prepared.of(replace(before, log=replace(before.log, level="error")))
    opened.order(effects.NotifyReady())
    assert logging.getLogger("sdserve").level == logging.INFO
    house.fleet = replace(house.fleet, current=2)
    opened.order(effects.NotifyReady())
    assert logging.getLogger("sdserve").level == logging.ERROR


def test_who_asked_is_answered(supervisor, tmp_path):
    poller = supervisor.house.poller
    with TemporaryDirectory(dir="/tmp") as directory, socket(AF_UNIX) as client:
        control = Control(ControlSocket(Path(directory)), poller, status=dict, check=print, renew=str)
        supervisor.house.control = control
        client.settimeout(20)
        client.connect(f"{directory}/control")
        client.sendall(b'{"method": "io.sdserve.Reload"}\0')
        token = supervisor.wait_for(events.ReloadAsked).token
        assert supervisor.order(effects.Reply(token, ok=True, text="done")) == []
        assert client.recv(1000) == b'{"parameters":{"message":"done"}}\0'


def test_a_worker_is_asked_for_its_stacks_by_a_signal_of_its_own(opened):
    pid = fork(opened)
    freeze(pid)
    assert opened.order(effects.Dump(1, 1)) == []
    assert pending_signals(pid) == [signal.SIGRTMAX]


def test_a_service_manager_that_does_not_read_is_not_waited_for(supervisor, monkeypatch):
    manager = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    told = 0
    while not supervisor.house.manager.is_behind:
        supervisor.order(effects.NotifyReady())
        told += 1
        assert told < 10_000
    supervisor.order(effects.NotifyStopping())
    received = 0
    while supervisor.house.manager.is_behind:
        assert manager.status == ""
        received += len(manager.messages)
        manager.messages.clear()
        list(observe.wait(supervisor.house, monotonic() + 20))
    assert manager.status == ""
    assert received + len(manager.messages) == told + 1
    assert manager.messages[-1] == ("STOPPING", "1")
    with pytest.raises(FileNotFoundError):
        supervisor.house.poller.unregister(supervisor.house.manager)
    manager.close()


def test_a_service_manager_that_is_gone_does_no_harm(supervisor, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody-is-here")
    assert supervisor.order(effects.NotifyReady()) == []
    assert "the service manager cannot be told" in caplog.text


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_what_the_fleet_says_is_logged(supervisor, caplog, level):
    caplog.set_level("DEBUG", "sdserve")
    supervisor.order(effects.Log(level, "100 % of it"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records[-1:]] == [
        (level.upper(), "100 % of it")
    ]


def test_the_exit_code_is_kept_for_the_loop(supervisor):
    assert perform(supervisor.house, effects.Exit(3)) == []
    assert supervisor.house.exit_code == 3
