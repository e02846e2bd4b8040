from __future__ import annotations

import errno
import os

import pytest

from sdserve.host import limits


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EMFILE, "Too many open files; raise LimitNOFILE="),
        (errno.ENFILE, "Too many open files in system"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_only_the_limit_of_a_process_is_the_units_to_raise(number, text):
    assert limits.reason(OSError(number, os.strerror(number))) == text


def test_an_error_without_a_number_is_its_text():
    assert limits.reason(OSError("odd")) == "odd"
