"""Zygotes and workers that are real processes, with everything between them real as well."""

from __future__ import annotations

import os
import signal

import pytest

from sdserve import __version__
from sdserve.core import wire
from sdserve.errors import EXIT_BOOT, EXIT_SOFTWARE
from sdserve.host.scoreboard import PID, READY, SERIAL, SLOT, STATE


@pytest.fixture
def ready(zygote):
    """A zygote with one worker that serves; its pid."""
    assert isinstance(zygote.open(), wire.Opened)
    pid = zygote.fork().pid
    assert zygote.hear(pid) == wire.Ready(generation=3, serial=5, interface="wsgi")
    return pid


def test_it_opens_and_says_who_it_is(zygote):
    opened = zygote.open()
    assert (opened.protocol, opened.version, opened.generation) == (wire.PROTOCOL, __version__, 3)
    assert zygote.close() == (0, "")


def test_a_worker_is_our_child_and_knows_itself(zygote, ready):
    about = zygote.ask()
    assert about["pid"] == ready
    assert about["ppid"] == os.getpid()
    assert (about["generation"], about["serial"], about["slot"], about["since_ns"]) == (3, 5, 1, 12)


def test_a_worker_writes_its_own_row(zygote, ready):
    words = zygote.scoreboard.row(2).words
    assert (words[STATE], words[PID], words[SERIAL], words[SLOT]) == (READY, ready, 5, 1)
    assert zygote.scoreboard.row(1).words.tolist() == [0] * 32


def test_a_worker_has_no_descriptor_it_does_not_need(zygote, ready):
    links = [link for number, link in zygote.ask()["descriptors"].items() if int(number) > 2]
    # Listener, mailbox, channel, the stand-in's own pair, the client's connection; nothing of the zygote's.
    assert len([link for link in links if link.startswith("socket:")]) == 6
    assert {link.split(":")[0] for link in links} == {"socket", "/memfd"}


def test_a_worker_starts_with_no_signal_blocked(zygote, ready):
    assert zygote.ask()["blocked"] == []


def test_the_import_path_begins_with_the_directory(zygote, ready, tmp_path):
    about = zygote.ask()
    assert about["path"][0] == str(tmp_path) == about["cwd"]
    assert len(about["argv"]) == 1


def test_the_exit_of_a_worker_is_ours_to_reap(zygote):
    zygote.open("exit:42")
    assert zygote.exit_of(zygote.fork().pid) == 42


def test_an_exception_that_escapes_is_written_and_ends_the_worker(zygote):
    zygote.open("raise")
    assert zygote.exit_of(zygote.fork().pid) == EXIT_SOFTWARE
    status, errors = zygote.close()
    assert status == 0
    assert errors.endswith("RuntimeError: nobody catches me\n")


def test_workers_outlive_their_zygote(zygote, ready):
    zygote.process.kill()
    zygote.process.wait()
    assert zygote.ask()["pid"] == ready


def test_a_worker_whose_supervisor_lets_go_ends(zygote, ready):
    zygote.workers[ready].close()
    assert zygote.exit_of(ready) == 0


def test_a_key_press_at_the_terminal_ends_neither(zygote, ready):
    for signum in (signal.SIGINT, signal.SIGHUP):
        os.kill(zygote.process.pid, signum)
        os.kill(ready, signum)
    assert zygote.ask()["pid"] == ready
    assert isinstance(zygote.fork(serial=6), wire.Forked)


def test_sigterm_ends_a_worker_and_is_reported(zygote, ready):
    os.kill(ready, signal.SIGTERM)
    assert zygote.hear(ready) == wire.RecycleAsked(generation=3, serial=5, reason="SIGTERM")
    assert zygote.exit_of(ready) == 0


def test_many_workers_one_after_another(zygote):
    zygote.open()
    pids = [zygote.fork(serial=serial).pid for serial in range(10)]
    assert len(set(pids)) == 10
    assert [zygote.hear(pid).serial for pid in pids] == list(range(10))


def test_a_preloaded_application_is_handed_to_the_worker(zygote):
    zygote.open("application = 'made before the fork'", preload=True)
    zygote.hear(zygote.fork().pid)
    assert zygote.ask()["application"] == "made before the fork"


def test_an_application_that_cannot_be_preloaded_is_explained(zygote):
    failed = zygote.open("import missing_module", preload=True)
    assert failed.generation == 3
    assert failed.reason == "the application cannot be imported: No module named 'missing_module'"
    assert failed.traceback.startswith("Traceback")
    assert "ModuleNotFoundError: No module named 'missing_module'" in failed.traceback
    assert zygote.close()[0] == EXIT_BOOT


def test_an_application_that_leaves_a_thread_is_refused(zygote):
    thread = "threading.Thread(target=time.sleep, args=[60], name='poll')"
    failed = zygote.open(f"import threading, time; {thread}.start(); application = 1", preload=True)
    assert failed.reason.startswith("preload: importing the application left threads running (poll)")
    assert failed.traceback == ""


def test_an_application_that_leaves_a_connection_is_refused(zygote):
    host, port = zygote.listener.getsockname()
    failed = zygote.open(
        f"import socket; application = socket.create_connection(({host!r}, {port}))", preload=True
    )
    assert f"left connections open (127.0.0.1:{port}, descriptor" in failed.reason


def test_a_supervisor_of_another_protocol_is_refused(zygote):
    failed = zygote.open(protocol=wire.PROTOCOL + 1, version="9.9")
    assert failed.reason.startswith(f"sdserve 9.9 (protocol {wire.PROTOCOL + 1}) cannot use")
    assert failed.protocol == wire.PROTOCOL


def test_descriptors_that_do_not_match_are_refused(zygote):
    failed = zygote.open(descriptors=[])
    assert failed.reason == "Open came with 0 descriptors for 1 listeners"


def test_the_first_message_must_be_open(zygote):
    zygote.channel.send(wire.Drain(generation=3))
    assert zygote.receive().reason == "the first message to a zygote is Open, not Drain"


def test_an_order_nobody_knows_is_ignored(zygote):
    zygote.open()
    zygote.channel.send(wire.Drain(generation=3))
    assert isinstance(zygote.fork(), wire.Forked)


def test_nonsense_from_the_supervisor_ends_it(zygote):
    zygote.open()
    zygote.channel.socket.send(b"garbage")
    assert zygote.receive() is None
    assert "is not JSON" in zygote.close()[1]


def test_a_supervisor_that_goes_before_it_has_said_anything(zygote):
    assert zygote.close() == (0, "")


def test_no_more_descriptors_is_an_answer_that_says_which_limit_to_raise(zygote):
    # One is left, for the end of the worker's channel.
    zygote.open(
        """
import os, resource
free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, free + 1))
application = 1
""",
        preload=True,
    )
    reason = "fork: Too many open files; raise LimitNOFILE="
    assert zygote.fork() == wire.ForkRefused(generation=3, serial=5, reason=reason)


@pytest.mark.skipif(os.geteuid() != 0, reason="root makes the user that has no other process")
@pytest.mark.parametrize("processes", [1, 2])
def test_no_more_processes_is_an_answer(zygote, processes):
    # The zygote alone, so that the middle process cannot be forked; or the two of them, and no worker.
    zygote.open(
        f"""
import os, resource
os.setuid({61_000 + os.getpid() % 1000})
resource.setrlimit(resource.RLIMIT_NPROC, ({processes}, {processes}))
application = 1
""",
        preload=True,
    )
    refused = wire.ForkRefused(generation=3, serial=5, reason="fork: Resource temporarily unavailable")
    assert zygote.fork() == refused
    assert zygote.close()[0] == 0
