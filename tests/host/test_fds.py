from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sdserve.host.fds import Fd


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def null():
    return os.open("/dev/null", os.O_RDONLY)


def test_the_owner_closes_once():
    number = null()
    fd = Fd(number)
    assert fd.fileno() == number
    fd.close()
    assert not is_open(number)
    fd.close()


def test_a_block_closes_at_its_end():
    with Fd(null()) as fd:
        number = fd.fileno()
    assert not is_open(number)


def test_a_stolen_descriptor_stays_open():
    fd = Fd(null())
    number = fd.steal()
    fd.close()
    assert is_open(number)
    os.close(number)


def test_a_copy_has_its_own_owner():
    with Fd(null()) as fd:
        with fd.dup() as copy:
            assert copy.fileno() != fd.fileno()
            assert os.path.sameopenfile(copy.fileno(), fd.fileno())
        assert is_open(fd.fileno())


def test_adoption_makes_close_on_exec():
    number = null()
    os.set_inheritable(number, True)
    with Fd(number):
        assert not os.get_inheritable(number)


@pytest.mark.parametrize("end", [Fd.close, Fd.steal])
def test_nobody_gets_a_number_that_is_no_longer_owned(end):
    fd = Fd(null())
    number = fd.fileno()
    if end(fd) is not None:
        os.close(number)
    with pytest.raises(ValueError, match="closed or was given away"):
        fd.fileno()
    assert repr(fd) == "Fd(closed)"


def test_what_is_not_open_cannot_be_owned():
    number = null()
    os.close(number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Fd(number)


@pytest.mark.parametrize(
    ("redirections", "closed"), [("0<&- 1>&- 2>&-", {0, 1, 2}), ("1>&-", {1}), ("", set())]
)
def test_standard_descriptors_that_are_closed_are_opened_for_children_too(tmp_path, redirections, closed):
    program = f"""
import os
from sdserve.host.fds import open_standard_descriptors
open_standard_descriptors()
with open({str(tmp_path / "found")!r}, "w") as file:
    for number in range(3):
        print(os.readlink(f"/proc/self/fd/{{number}}"), os.get_inheritable(number), file=file)
"""
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", program]
    with open(tmp_path / "before", "w") as before:
        subprocess.run(shell, check=True, timeout=20, stdin=before, stdout=before, stderr=before)
    assert (tmp_path / "found").read_text().splitlines() == [
        f"{os.devnull if number in closed else tmp_path / 'before'} True" for number in range(3)
    ]
