"""Forks in a process of their own: what runs here ends as an interpreter ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from sdserve.errors import EXIT_FAILURE, EXIT_OS, EXIT_SOFTWARE

PROLOGUE = """
import atexit, os, signal, sys
from sdserve.host import process
from sdserve.zygote.forking import fork_worker
process.become_subreaper()
announced = []
def exit_code():
    pid, status = os.wait()
    assert pid == announced[-1]
    return os.waitstatus_to_exitcode(status)
"""


def run(source):
    """Run `source` after the prologue; what it and its workers print."""
    program = PROLOGUE + textwrap.dedent(source)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("work", "code"),
    [
        ("7", 7),
        ("sys.exit(8)", 8),
        ("sys.exit('words')", EXIT_FAILURE),
        ("sys.exit()", 0),
        ("1 / 0", EXIT_SOFTWARE),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
)
def test_the_end_of_the_work_is_the_end_of_the_worker(work, code):
    lines = run(f"""
        fork_worker(parent=os.getpid(), announce=announced.append, work=lambda: {work})
        print(exit_code())
    """)
    assert lines == [str(code)]


def test_what_was_registered_for_the_end_is_run_in_the_worker_and_its_output_flushed():
    lines = run("""
        def work():
            atexit.register(print, "at exit of the worker", end="")
            return 0
        fork_worker(parent=os.getpid(), announce=announced.append, work=work)
        exit_code()
    """)
    assert lines == ["at exit of the worker"]


def test_the_stack_of_the_zygote_is_not_unwound_in_the_worker():
    lines = run("""
        me = os.getpid()
        try:
            fork_worker(parent=me, announce=announced.append, work=lambda: 1 / 0)
        finally:
            print("unwound", os.getpid() == me)
        exit_code()
    """)
    assert lines == ["unwound True"]


def test_a_worker_whose_parent_is_not_the_supervisor_does_nothing():
    lines = run("""
        fork_worker(parent=1, announce=announced.append, work=lambda: print("worked"))
        print(exit_code())
    """)
    assert lines == [str(EXIT_OS)]


def test_a_worker_whose_zygote_dies_before_it_says_go_does_nothing():
    lines = run("""
        zygote = os.fork()
        if zygote == 0:
            def die(pid):
                os.kill(os.getpid(), signal.SIGKILL)
            fork_worker(parent=os.getppid(), announce=die, work=lambda: print("worked"))
        ends = dict(os.wait() for _ in range(2))
        assert os.waitstatus_to_exitcode(ends.pop(zygote)) == -9
        print(*map(os.waitstatus_to_exitcode, ends.values()))
    """)
    assert lines == [str(EXIT_OS)]


def test_no_signal_ends_a_worker_before_it_works_and_none_is_lost():
    lines = run("""
        def announce(pid):
            announced.append(pid)
            os.kill(pid, signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, lambda *_: print("signalled", flush=True))
        fork_worker(parent=os.getpid(), announce=announce, work=lambda: print("worked"))
        exit_code()
        print("blocked", *signal.pthread_sigmask(signal.SIG_BLOCK, []))
    """)
    assert lines == ["signalled", "worked", "blocked"]


def test_the_death_of_the_supervisor_is_signalled():
    lines = run("""
        read, write = os.pipe()
        supervisor = os.fork()
        if supervisor == 0:
            process.become_subreaper()
            def work():
                signal.signal(signal.SIGTERM, lambda *_: (os.write(write, b"SIGTERM"), os._exit(0)))
                os.write(write, b"ready")
                while True:
                    signal.pause()
            fork_worker(parent=os.getpid(), announce=announced.append, work=work)
            signal.pause()
        assert os.read(read, 10) == b"ready"
        os.kill(supervisor, signal.SIGKILL)
        print(os.read(read, 10).decode())
        os.wait(), os.wait()
    """)
    assert lines == ["SIGTERM"]


def test_without_a_free_descriptor_it_refuses_and_keeps_none():
    lines = run("""
        import resource
        before = os.listdir("/proc/self/fd")
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 3, free + 3))  # for one pipe of two
        try:
            fork_worker(parent=os.getpid(), announce=announced.append, work=lambda: 0)
        except OSError as error:
            print(error.strerror)
        print(os.listdir("/proc/self/fd") == before)
    """)
    assert lines == ["Too many open files", "True"]


@pytest.mark.parametrize(
    ("work", "line"),
    [("1 / 0", "error worker 3: the worker failed"), ("sys.exit('words')", "error worker 3: words")],
)
def test_why_a_worker_failed_is_logged_like_everything_else(work, line):
    lines = run(f"""
        from sdserve.host import logs
        os.dup2(1, 2)
        logs.configure("info", slot=3)
        fork_worker(parent=os.getpid(), announce=announced.append, work=lambda: {work})
        exit_code()
    """)
    assert lines[0].endswith(line)
    assert all(line.startswith("    ") for line in lines[1:])
