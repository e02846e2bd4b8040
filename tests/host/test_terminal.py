from __future__ import annotations

import os
import pty
import subprocess
import sys

from sdserve.host.terminal import Terminal

PROGRAM = """
import signal, sys
from sdserve.host.terminal import Terminal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
terminal = Terminal()
print(terminal.is_gone(), flush=True)
signal.sigwait([signal.SIGHUP])
print(terminal.is_gone(), flush=True)
"""


def test_without_a_terminal_none_can_be_gone():
    os_setsid = ["setsid", "--wait", sys.executable, "-c"]
    program = "from sdserve.host.terminal import Terminal; print(Terminal().is_gone())"
    assert (
        subprocess.run([*os_setsid, program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_a_terminal_that_hangs_up_is_gone():
    leader, terminal = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", sys.executable, "-c", PROGRAM], stdin=terminal, stdout=subprocess.PIPE
    )
    os.close(terminal)
    assert process.stdout.readline() == b"False\n"
    os.close(leader)
    assert process.communicate(timeout=20)[0] == b"True\n"


def test_it_is_asked_anew_each_time():
    terminal = Terminal()
    terminal._was_there = False
    assert not terminal.is_gone()
