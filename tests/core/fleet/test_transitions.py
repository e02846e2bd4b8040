from __future__ import annotations

from enum import Enum
from types import UnionType
from typing import get_args

import pytest

from sdserve.core.fleet import events, fleet_moves, request_moves, worker_moves, zygote_moves
from sdserve.core.fleet.model import Phase, WorkerState, ZygoteState
from sdserve.core.fleet.transitions import FLEET_MOVES, WORKER_MOVES, ZYGOTE_MOVES, Row

TABLES = [
    pytest.param(FLEET_MOVES, Phase, events.FleetEvent, id="fleet"),
    pytest.param(ZYGOTE_MOVES, ZygoteState, events.ZygoteEvent, id="zygote"),
    pytest.param(WORKER_MOVES, WorkerState, events.WorkerEvent, id="worker"),
]


@pytest.mark.parametrize(("table", "states", "kinds"), TABLES)
def test_every_state_meets_every_event(table: dict[Enum, Row], states: type[Enum], kinds: UnionType) -> None:
    written = {(state, kind) for state, row in table.items() for kind in row}
    assert written == {(state, kind) for state in states for kind in get_args(kinds)}


def test_every_event_belongs_to_one_table() -> None:
    kinds = [*get_args(events.FleetEvent), *get_args(events.ZygoteEvent), *get_args(events.WorkerEvent)]
    assert sorted(kinds, key=str) == sorted(set(get_args(events.Event)), key=str)


@pytest.mark.parametrize(
    ("table", "room"),
    [
        (FLEET_MOVES, fleet_moves),
        (FLEET_MOVES, request_moves),
        (ZYGOTE_MOVES, zygote_moves),
        (WORKER_MOVES, worker_moves),
    ],
)
def test_every_move_is_in_the_table(table: dict[Enum, Row], room: object) -> None:
    moves = {
        move
        for name, move in vars(room).items()
        if callable(move) and not name.startswith("_") and getattr(move, "__module__", "") == room.__name__
    }
    used = {move for row in table.values() for move in row.values()}
    assert moves <= used


def test_what_has_gone_changes_nothing_except_that_a_stray_is_put_away() -> None:
    worker = {kind: move.__name__ for kind, move in WORKER_MOVES[WorkerState.GONE].items()}
    assert worker.pop(events.WorkerForked) == "kill_stray"
    assert set(worker.values()) == {"ignore"}
    zygote = {kind: move.__name__ for kind, move in ZYGOTE_MOVES[ZygoteState.GONE].items()}
    assert zygote.pop(events.GenerationPrepared) == "drop_stray"
    assert set(zygote.values()) == {"ignore"}
