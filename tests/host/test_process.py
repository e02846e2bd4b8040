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
