from __future__ import annotations

import logging
import os
import signal
import sys
import textwrap
from time import monotonic

import pytest

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.errors import EXIT_BOOT
from sdserve.host import channel
from sdserve.host.terminal import Terminal
from sdserve.supervisor import observe
from sdserve.supervisor.house import Worker


@pytest.fixture
def run(start):
    """Starts an application in a first worker, without waiting for it."""

    def run(application="serve", **options):
        supervisor = start(application, **options)
        supervisor.order(effects.OpenGeneration(1))
        supervisor.wait_for(events.ZygoteReady)
        supervisor.order(effects.Fork(generation=1, serial=1, slot=1))
        return supervisor

    return run


@pytest.fixture
def zygote(start, tmp_path):
    """Starts a program in place of a zygote; `answer` is sent by it as its first packet."""

    def zygote(source):
        program = tmp_path / "program.py"
        program.write_text("import socket, sys, time\nsocket = socket.socket(fileno=int(sys.argv[1]))\n")
        with program.open("a") as file:
            file.write(textwrap.dedent(source))
        supervisor = start(command=(str(program),))
        supervisor.order(effects.OpenGeneration(1))
        return supervisor

    return zygote


def test_time_passes_only_when_it_does(start):
    supervisor = start()
    assert list(observe.wait(supervisor.house, monotonic())) == [events.TimePassed()]
    os.kill(os.getpid(), signal.SIGCHLD)
    assert list(observe.wait(supervisor.house, monotonic() + 3600)) == []


@pytest.mark.parametrize(
    ("signum", "event"),
    [
        (signal.SIGTERM, events.StopAsked()),
        (signal.SIGINT, events.StopAsked()),
        (signal.SIGHUP, events.ReloadAsked(0)),
        (signal.SIGUSR2, events.ReloadAsked(0, upgrade=True)),
        (signal.SIGTTIN, events.ScaleChanged(1)),
        (signal.SIGTTOU, events.ScaleChanged(-1)),
    ],
)
def test_signals_ask_for_something(start, signum, event):
    supervisor = start()
    os.kill(os.getpid(), signum)
    assert list(observe.wait(supervisor.house, None)) == [event]


def test_one_key_press_that_arrives_twice_is_asked_once(start):
    supervisor = start()
    for signum in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), signum)
    assert list(observe.wait(supervisor.house, None)) == [events.StopAsked()]
    os.kill(os.getpid(), signal.SIGINT)
    assert list(observe.wait(supervisor.house, None)) == [], "an echo, as sudo and timeout make"
    supervisor.house.stop_asked -= observe.REPEAT
    os.kill(os.getpid(), signal.SIGINT)
    assert list(observe.wait(supervisor.house, None)) == [events.StopAsked()]


def test_a_worker_is_announced_before_it_speaks_and_speaks_before_it_ends(run):
    supervisor = run("fail")
    seen = []
    while not seen or not isinstance(seen[-1], events.WorkerExited):
        seen.append(supervisor.wait_for(object))
    assert [type(event) for event in seen] == [
        events.WorkerForked,
        events.WorkerFailed,
        events.WorkerExited,
    ]
    assert seen[1].reason == "no such module"
    assert seen[2].status == EXIT_BOOT


def test_a_worker_that_was_signalled_asks_to_be_replaced(run):
    supervisor = run()
    pid = supervisor.wait_for(events.WorkerForked).pid
    supervisor.wait_for(events.WorkerReady)
    os.kill(pid, signal.SIGTERM)
    assert supervisor.wait_for(events.RecycleAsked) == events.RecycleAsked(1, 1, "SIGTERM")


@pytest.fixture
def worker(start):
    """A worker that exists only as the other end of its channel; what it says is heard."""
    supervisor = start()
    ours, theirs = channel.pair()
    supervisor.house.admit_worker(Worker(generation=1, serial=1, slot=1, row=0, channel=ours))

    def say(message):
        theirs.send(message)
        return list(observe.wait(supervisor.house, monotonic() + 20))

    yield say
    theirs.close()


def test_a_worker_may_ask_to_be_replaced(worker):
    asked = wire.RecycleAsked(generation=1, serial=1, reason="max_requests")
    assert worker(asked) == [events.RecycleAsked(1, 1, "max_requests")]


def test_newer_code_than_the_generations_is_told(worker, caplog):
    ready = wire.Ready(generation=1, serial=1, changed=("/srv/a.py", "/srv/b.py"))
    assert worker(ready) == [events.WorkerReady(1, 1)]
    assert "runs code that is newer than its generation: /srv/a.py and 1 more; reload" in caplog.text


def test_code_that_has_changed_on_the_disk_is_told_once(worker, caplog):
    changed = wire.CodeChanged(generation=1, serial=1, changed=("/srv/a.py", "/srv/b.py"))
    for _ in range(2):
        assert worker(changed) == []
    text = "files of the code that generation 1 runs have changed: /srv/a.py and 1 more; reload to run"
    assert caplog.text.count(text) == 1
    assert worker(wire.CodeChanged(generation=1, serial=1, changed=("/srv/c.py",))) == []
    assert "have changed: /srv/c.py; reload" in caplog.text


def test_a_terminal_that_hangs_up_asks_to_stop(start, monkeypatch):
    supervisor = start()
    monkeypatch.setattr(Terminal, "is_gone", lambda terminal: True)
    os.kill(os.getpid(), signal.SIGHUP)
    assert list(observe.wait(supervisor.house, None)) == [events.StopAsked()]


def test_a_worker_that_makes_no_sense_is_killed(run, caplog):
    supervisor = run("garbage")
    assert supervisor.wait_for(events.WorkerExited).status == -signal.SIGKILL
    assert "worker 1 (slot 1, generation 1, pid" in caplog.text
    assert "makes no sense, killing it: a packet of 7 bytes is not JSON" in caplog.text


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (wire.Ready(generation=1, serial=2), "spoke of another worker, ignoring"),
        (wire.Ready(generation=2, serial=1), "spoke of another worker, ignoring"),
        (wire.Opened(generation=1), "spoke of another worker, ignoring"),
        (wire.Drain(generation=1, serial=1), "sent Drain, ignoring"),
    ],
)
def test_what_a_worker_may_not_say_is_ignored(start, caplog, message, complaint):
    supervisor = start()
    ours, theirs = channel.pair()
    supervisor.house.admit_worker(Worker(generation=1, serial=1, slot=1, row=0, channel=ours))
    theirs.send(message, [0])
    assert list(observe.wait(supervisor.house, monotonic() + 20)) == []
    assert complaint in caplog.text
    theirs.close()


def test_a_chatty_worker_leaves_the_others_their_turn(start):
    supervisor = start()
    ours, theirs = channel.pair()
    supervisor.house.admit_worker(Worker(generation=1, serial=1, slot=1, row=0, channel=ours))
    for _ in range(250):
        theirs.send(wire.Ready(generation=1, serial=1))
    heard = [len(list(observe.wait(supervisor.house, monotonic() + 20))) for _ in range(3)]
    assert heard == [100, 100, 50]
    theirs.close()


def test_orphans_of_an_application_are_reaped_and_forgotten(run):
    supervisor = run()
    supervisor.wait_for(events.WorkerReady)
    child = os.fork()
    if child == 0:
        os._exit(1)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert list(observe.wait(supervisor.house, monotonic() + 20)) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)
    assert supervisor.house.early_exits == {}


def test_an_exit_that_comes_before_its_announcement_is_kept(start):
    supervisor = start()
    ours, theirs = channel.pair()
    worker = Worker(generation=1, serial=1, slot=1, row=0, channel=ours)
    supervisor.house.admit_worker(worker)
    child = os.fork()
    if child == 0:
        os._exit(4)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert list(observe.wait(supervisor.house, monotonic() + 20)) == []
    supervisor.order(effects.OpenGeneration(1))
    [zygote] = supervisor.house.zygotes.values()
    announced = observe._worker_forked(
        supervisor.house, zygote, wire.Forked(generation=1, serial=1, pid=child)
    )
    assert list(announced) == [
        events.WorkerForked(generation=1, serial=1, pid=child),
        events.WorkerExited(generation=1, serial=1, status=4),
    ]
    theirs.close()


def test_an_exit_of_an_earlier_owner_of_the_number_is_not_the_workers(run):
    supervisor = run()
    [zygote] = supervisor.house.zygotes.values()
    forked = supervisor.wait_for(events.WorkerForked)
    supervisor.house.workers[1].pid = None
    supervisor.house.early_exits[forked.pid] = 4
    announced = observe._worker_forked(
        supervisor.house, zygote, wire.Forked(generation=1, serial=1, pid=forked.pid)
    )
    assert list(announced) == [forked]
    assert supervisor.house.early_exits == {}


def test_the_paths_of_a_generation_are_logged(start, tmp_path, caplog):
    caplog.set_level(logging.INFO, "sdserve")
    supervisor = start()
    supervisor.order(effects.OpenGeneration(1))
    supervisor.wait_for(events.ZygoteReady)
    assert f"generation 1 opened: directory {tmp_path}, Python {sys.version.split()[0]}" in caplog.text


def test_a_zygote_that_cannot_preload_says_why(start, caplog):
    supervisor = start("import missing_module", preload=True)
    supervisor.order(effects.OpenGeneration(1))
    failed = supervisor.wait_for(events.ZygoteFailed)
    assert failed.reason == "the application cannot be imported: No module named 'missing_module'"
    assert "ModuleNotFoundError: No module named 'missing_module'" in caplog.text
    assert supervisor.wait_for(events.ZygoteExited) == events.ZygoteExited(1, EXIT_BOOT)


def test_a_zygote_of_another_protocol_is_refused(zygote):
    supervisor = zygote("""
        socket.send(b'{"kind": "Opened", "protocol": 99, "version": "9.9", "generation": 1}')
        socket.recv(1), socket.recv(1)
    """)
    failed = supervisor.wait_for(events.ZygoteFailed)
    assert "cannot use the sdserve 9.9 (protocol 99)" in failed.reason
    assert "install the same version on both sides" in failed.reason
    assert supervisor.wait_for(events.ZygoteExited).status == 0


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("socket.send(b'garbage')", "makes no sense, killing it"),
        (
            """socket.send(b'{"kind": "Forked", "generation": 1, "serial": 1, "pid": -1}')""",
            "process -1, which it claims to have forked, is not our child",
        ),
        (
            """socket.send(b'{"kind": "Forked", "generation": 1, "serial": 1, "pid": 1}')""",
            "process 1, which it claims to have forked, is not our child",
        ),
        (
            # The supervisor's child is the zygote itself.
            """
            import os
            said = '{"kind": "Forked", "generation": 1, "serial": 77, "pid": %d}' % os.getpid()
            socket.send(said.encode())
            """,
            "it was not asked for the worker 77 that it forked",
        ),
    ],
)
def test_a_zygote_that_cannot_be_worked_with_is_killed(zygote, caplog, source, complaint):
    supervisor = zygote(f"socket.recv(10)\n{textwrap.dedent(source)}\ntime.sleep(60)")
    assert supervisor.wait_for(events.ZygoteExited) == events.ZygoteExited(1, -signal.SIGKILL)
    assert complaint in caplog.text
    assert supervisor.house.zygotes == {}


def test_a_zygote_whose_last_words_make_no_sense_is_not_killed_once_more(zygote, caplog):
    # More than is read at once: the nonsense is read after its end.
    supervisor = zygote(f"""
        for _ in range({observe._MOST_AT_ONCE}):
            socket.send(b'{{"kind": "Drain", "generation": 1}}')
        socket.send(b"garbage")
        sys.exit(5)
    """)
    os.waitid(os.P_PID, supervisor.house.zygotes[1].pid, os.WEXITED | os.WNOWAIT)
    assert supervisor.wait_for(events.ZygoteExited) == events.ZygoteExited(1, 5)
    assert "makes no sense" in caplog.text


def test_what_a_zygote_may_not_say_is_ignored(zygote, caplog):
    supervisor = zygote("""
        socket.send(b'{"kind": "Opened", "generation": 2}')
        socket.send(b'{"kind": "Drain", "generation": 1}')
        socket.send(b'{"kind": "ForkRefused", "generation": 1, "serial": 77}')
        sys.exit(5)
    """)
    assert supervisor.wait_for(object) == events.ZygoteExited(1, 5)
    assert "spoke of generation 2, ignoring" in caplog.text
    assert "sent Drain, ignoring" in caplog.text


def test_a_fork_that_is_refused_frees_its_row(zygote):
    supervisor = zygote("""
        socket.recv(100_000), socket.recv(1000)
        socket.send(b'{"kind": "ForkRefused", "generation": 1, "serial": 1, "reason": "fork: no"}')
        socket.recv(1)
    """)
    supervisor.order(effects.Fork(generation=1, serial=1, slot=1))
    failed = supervisor.wait_for(events.ForkFailed)
    assert failed == events.ForkFailed(generation=1, serial=1, reason="fork: no")
    assert supervisor.house.workers == {}
    assert supervisor.house.free_rows[-1] == 0
