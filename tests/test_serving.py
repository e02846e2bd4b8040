"""The tests' own tool: what it must notice."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import traceback

import pytest

from tests.serving import PASS_SOCKETS, TIMEOUT, exceptions_in


def test_a_test_run_that_is_killed_leaves_no_server_behind():
    # The server tells its pid and reads for ever; the run waits for it.
    server = [sys.executable, "-c", "import os; print(os.getpid(), flush=True); os.read(0, 1)"]
    program = "import subprocess, sys; subprocess.run(sys.argv[2:], pass_fds=[int(sys.argv[1])])"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        command = [sys.executable, "-ISs", PASS_SOCKETS, str(number), "http", *server]
        with subprocess.Popen(
            [sys.executable, "-c", program, str(number), *command],
            pass_fds=[number],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as run:
            pid = int(run.stdout.readline())
            pidfd = os.pidfd_open(pid)
            run.kill()
            gone = bool(select.select([pidfd], [], [], TIMEOUT)[0])
            if not gone:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
    assert gone


def test_an_exception_is_found_by_the_last_line_of_its_traceback():
    log = "before\nTraceback (most recent call last):\n  File 'x', line 1\n    raise E\nshop.E: text\nafter\n"
    assert exceptions_in(log) == ["E"]


def test_an_exception_without_a_text_is_found():
    assert exceptions_in("Traceback (most recent call last):\n  File 'x', line 1\nKeyError\n") == ["KeyError"]


def test_the_line_before_the_frames_may_have_a_prefix():
    assert exceptions_in("<3>web: Traceback (most recent call last):\n  File\nValueError: no\n") == [
        "ValueError"
    ]


def test_causes_are_found_too():
    log = (
        "Traceback (most recent call last):\n  File 'x', line 1\nKeyError: 1\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n  File 'x', line 2\nValueError: 2\n"
    )
    assert exceptions_in(log) == ["KeyError", "ValueError"]


def test_the_members_of_a_group_are_found():
    with pytest.raises(ValueError, match="not a number") as member:
        int("not a number")
    with pytest.raises(ExceptionGroup) as caught:
        raise ExceptionGroup("one", [member.value])
    log = "".join(traceback.format_exception(caught.value))
    assert exceptions_in(log) == ["ExceptionGroup", "ValueError"]


def test_a_traceback_cut_short_is_found_as_well():
    assert exceptions_in("Traceback (most recent call last):\n  File 'x', line 1\n") == [""]


def test_a_quiet_log_has_none():
    assert exceptions_in("all is well\nready\n") == []


def test_a_traceback_may_be_indented_as_a_whole():
    log = "error: GET /\n    Traceback (most recent call last):\n      File 'x'\n    shop.E: text\n  more\n"
    assert exceptions_in(log) == ["E"]
