from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.fleet.backoff import delay, failures_after
from sdserve.core.fleet.options import FleetOptions

DEFAULT = FleetOptions()
SECONDS = st.floats(min_value=0.001, max_value=1e6)


def test_what_served_is_replaced_at_once_and_then_ever_later() -> None:
    waits = [delay(DEFAULT, failures, served=True) for failures in range(1, 13)]
    assert waits[:5] == [0, 1, 1.5, 2.25, 3.375]
    assert waits[-2:] == [30, 30]


def test_what_never_served_is_not_replaced_at_once() -> None:
    assert [delay(DEFAULT, failures, served=False) for failures in (1, 2, 3)] == [1, 1, 1.5]


@given(first=SECONDS, longest=SECONDS, failures=st.integers(1, 10**9), served=st.booleans())
def test_waiting_never_shrinks_and_has_an_end(
    first: float, longest: float, failures: int, served: bool
) -> None:
    options = FleetOptions(backoff_first=first, backoff_longest=longest)
    one, next_one = (delay(options, number, served=served) for number in (failures, failures + 1))
    assert 0 <= one <= next_one <= longest


@pytest.mark.parametrize(
    ("up_since", "expected"),
    [(None, 6), (940.1, 6), (940.0, 1), (0.0, 1)],
    ids=["never up", "almost a minute", "a minute", "long"],
)
def test_a_healthy_minute_is_forgiveness(up_since: float | None, expected: int) -> None:
    assert failures_after(DEFAULT, 5, up_since, now=1000.0) == expected
