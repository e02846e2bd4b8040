from __future__ import annotations

import os
import resource
from contextlib import contextmanager

import pytest

from sdserve.worker.spool import Spool

PARTS = [b"one ", b"two ", b"three"]


@pytest.mark.parametrize(("memory", "is_file"), [(100, False), (13, False), (12, True), (0, True)])
def test_a_body_is_kept_in_memory_up_to_the_limit(memory, is_file):
    spool = Spool(memory)
    for part in PARTS:
        spool.write(part)
    body = spool.open()
    assert spool.size == 13
    assert body.read() == b"one two three"
    assert isinstance(getattr(body, "name", None), int) is is_file
    spool.close()


def test_the_file_has_no_name_that_could_outlive_the_process():
    spool = Spool(0)
    spool.write(b"x")
    assert os.fstat(spool.open().fileno()).st_nlink == 0
    spool.close()


def test_an_empty_body():
    spool = Spool(0)
    assert spool.open().read() == b""
    spool.close()


def test_close_gives_the_file_back():
    spool = Spool(0)
    spool.write(b"x")
    body = spool.open()
    spool.close()
    assert body.closed
    spool.close()


@contextmanager
def small_files():
    """No file of this process may become larger than a page: the next best thing to a disk that is full.

    For a moment only: pytest's own output may be such a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("parts", [[b"x" * 5000], [b"x" * 4000, b"x" * 200], [b"x" * 1_000_000]])
def test_a_disk_that_is_full_is_told_when_the_body_is_written(parts):
    spool = Spool(0)
    *fit, last = parts
    with small_files():
        for part in fit:
            spool.write(part)
        with pytest.raises(OSError, match="File too large"):
            spool.write(last)
    spool.close()
