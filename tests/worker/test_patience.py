"""What a client has to take."""

from __future__ import annotations

import pytest

from sdserve.core.http.options import HttpOptions
from sdserve.worker.patience import took_enough


@pytest.mark.parametrize(
    ("before", "left", "enough"),
    [
        (10_000, 9_000, True),  # 100 bytes a second for ten seconds
        (10_000, 9_001, False),
        (10_000, 10_000, False),
        (10_000, 20_000, True),  # the application has added to it
        (10_000, 0, False),  # there is nothing left to be late with, and yet it is
    ],
)
def test_a_client_takes_what_the_least_rate_makes_of_the_time(before, left, enough):
    assert took_enough(before, left, HttpOptions(write_timeout=10, body_min_rate=100)) is enough


def test_without_a_rate_one_byte_is_enough():
    options = HttpOptions(write_timeout=10, body_min_rate=0)
    assert took_enough(10, 9, options)
    assert not took_enough(10, 10, options)
