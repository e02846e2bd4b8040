from __future__ import annotations

import subprocess
import sys

from sdserve.host.stacks import SIGNAL

PROGRAM = """
import os, threading
from sdserve.host import stacks
stacks.write_on_request(lambda: os.write(2, b"and then this"))
def stuck_here():
    os.write(1, b"ready")
    os.read(0, 1)
threading.Thread(target=threading.Event().wait, daemon=True).start()
stuck_here()
"""


def test_the_stacks_of_all_threads_are_written_while_it_goes_on():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.read(5) == b"ready"
    process.send_signal(SIGNAL)
    assert process.stderr.readline().startswith(b"Thread 0x")
    _, errors = process.communicate(b"\n", timeout=20)
    assert b"in stuck_here" in errors
    assert b"in wait" in errors
    assert errors.endswith(b"and then this")
    assert process.returncode == 0
