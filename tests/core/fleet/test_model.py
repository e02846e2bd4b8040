from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any

from sdserve.core.fleet.model import Slot
from tests.core.fleet.story import full, rolling


def plain_values(value: Any) -> Iterator[Any]:
    """What remains of `value` if it is taken apart; AssertionError if it is more than data."""
    if dataclasses.is_dataclass(value):
        assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
        for field in dataclasses.fields(value):
            yield from plain_values(getattr(value, field.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is int
            yield from plain_values(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from plain_values(item)
    else:
        yield value


def test_a_fleet_is_plain_data() -> None:
    story = rolling(3)
    story.is_told_to_reload(8)
    story.is_scaled_to(4, token=9)
    values = list(plain_values(story.fleet))
    assert all(value is None or isinstance(value, (Enum, bool, int, float, str)) for value in values)


def test_changes_are_made_to_copies() -> None:
    fleet = full(2).fleet
    changed = fleet.with_slot(Slot(number=3)).without_worker(1).without_generation(1)
    assert (len(fleet.slots), len(fleet.workers), len(fleet.generations)) == (2, 2, 1)
    assert (len(changed.slots), len(changed.workers), len(changed.generations)) == (3, 1, 0)
