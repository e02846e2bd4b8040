from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from sdserve.host import process


def run(source):
    """Run `source` in a process of its own, so that this one's children stay its own; its output."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_subreaper_gets_its_orphaned_grandchild_and_its_exit_code():
    adopted, reaped = run("""
        import os
        from sdserve.host import process
        assert not process.is_subreaper()
        process.become_subreaper()
        assert process.is_subreaper()
        read, write = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                os.close(write)
                os._exit(7 if os.read(read, 1) == b"" else 1)
            os._exit(3)
        os.wait()  # the middle process
        os.close(read)
        import subprocess
        children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
        os.close(write)  # lets the grandchild end
        [(pid, status)] = [(pid, status) for pid, status in [os.wait()]]
        print(children == [str(pid)], os.waitstatus_to_exitcode(status))
    """)
    assert (adopted, reaped) == ("True", "7")


def test_all_exits_are_reaped_and_none_waited_for():
    lines = run("""
        import os, signal
        from sdserve.host import process
        assert list(process.reap()) == []
        for code in (0, 5):
            if os.fork() == 0:
                os._exit(code)
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.fork() == 0:
            signal.pause()
        found = []
        while len(found) < 3:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            found += [code for _, code in process.reap()]
        assert list(process.reap()) == []
        print(*sorted(found))
        [last] = open(f"/proc/self/task/{os.getpid()}/children").read().split()
        os.kill(int(last), signal.SIGKILL)
    """)
    assert lines == ["-9", "0", "5"]


def test_the_death_of_the_parent_is_signalled():
    ours, theirs = socket.socketpair()
    parent = os.fork()
    if parent == 0:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, lambda *_: (theirs.send(b"SIGTERM"), os._exit(0)))
            process.set_parent_death_signal(signal.SIGTERM)
            theirs.send(b"armed")
            while True:
                signal.pause()
        signal.pause()
    theirs.close()
    ours.settimeout(20)
    assert ours.recv(10) == b"armed"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert ours.recv(10) == b"SIGTERM"
    ours.close()


def test_children_are_known_from_strangers():
    child = os.fork()
    if child == 0:
        signal.pause()
    assert process.is_child(child)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert process.is_child(child)
    os.waitpid(child, 0)
    assert not any(map(process.is_child, (child, 1, 0, -1, os.getpid())))


def test_a_refusal_of_the_kernel_is_an_error():
    with pytest.raises(OSError, match=r"prctl\(1\): Invalid argument"):
        process.set_parent_death_signal(10_000)


# The end


def test_all_children_are_ended_and_those_that_become_ours():
    lines = run("""
        import os, signal
        from sdserve.host import process
        process.become_subreaper()
        read, write = os.pipe()
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                for depth in range(5):  # each the child of the one before
                    if os.fork():
                        break
                os.write(write, b"x")
                while True:
                    signal.pause()
        started = b""
        while len(started) < 18:
            started += os.read(read, 100)
        os.close(write)
        process.end_children()
        print(os.read(read, 1) == b"", *open(f"/proc/self/task/{os.getpid()}/children").read().split())
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("reaped")
        process.end_children()
    """)
    assert lines == ["True", "reaped"]


def test_those_that_are_dead_already_are_reaped():
    lines = run("""
        import os
        from sdserve.host import process
        if os.fork() == 0:
            os._exit(3)
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        process.end_children()
        print(list(process.reap()))
    """)
    assert lines == ["[]"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_one_that_has_become_another_users_is_left_and_the_others_are_ended():
    lines = run("""
        import os, signal
        from sdserve.host import process
        ready, told = os.pipe()
        more, ended = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ended)
            os.write(told, b"x")
            os.read(more, 1)  # until this process ends
            os._exit(0)
        os.setresuid(65534, 65534, 65534)
        if os.fork() == 0:
            os.write(told, b"x")
            while True:
                signal.pause()
        started = b""
        while len(started) < 2:
            started += os.read(ready, 10)
        process.end_children()
        left = open(f"/proc/self/task/{os.getpid()}/children").read().split()
        print(left == [str(child)])
        os.write(ended, b"x")
        os.waitpid(child, 0)
    """)
    assert lines == ["True"]
