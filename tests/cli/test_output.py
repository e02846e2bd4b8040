import os
import re
import socket
import subprocess
import sys

import pytest

SHOW = [sys.executable, "-m", "sdserve", "show", "a:b"]
WRONG = [sys.executable, "-m", "sdserve", "show", "a:"]
MESSAGE = "TARGET: [app] application: 'a:' is neither module:attribute nor module:factory()\n"


def test_a_reader_who_has_seen_enough_is_no_reason_to_complain():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        done = subprocess.run(SHOW, stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_an_output_that_cannot_be_written_is_an_error():
    with open("/dev/full", "wb") as out:
        done = subprocess.run(SHOW, stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"sdserve: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", ">&- 2>&-"])
def test_closed_descriptors_do_not_matter(redirection):
    command = ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh"]
    assert subprocess.run([*command, *SHOW], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*command, *WRONG], check=False, capture_output=True).returncode == 78


def test_an_error_goes_to_the_journal_with_its_priority():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        status = os.fstat(theirs.fileno())
        environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        done = subprocess.run(WRONG, stderr=theirs, env=environment, check=False)
        assert done.returncode == 78
        assert ours.recv(4096).decode() == f"<3>{MESSAGE}"


def test_an_argument_that_is_no_text_can_be_shown():
    command = [*SHOW, "--set", b"environment.A=\xff"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert re.search(rb"environment\.A += \\udcff  ", done.stdout)
