from __future__ import annotations

from pathlib import Path

import pytest

from sdserve.core.fleet.model import Phase, WorkerState, ZygoteState
from tests.core.fleet import diagram

MANUAL = Path(__file__).parents[3] / "docs" / "fleet.md"


def test_the_tables_in_the_manual_are_those_of_the_code() -> None:
    manual = MANUAL.read_text()
    assert manual == diagram.with_drawing(manual), "run python -m tests.core.fleet.diagram docs/fleet.md"


@pytest.mark.parametrize("state", [*Phase, *ZygoteState, *WorkerState], ids=str)
def test_every_state_has_its_column(state: Phase | ZygoteState | WorkerState) -> None:
    heads = [line for line in diagram.drawing().splitlines() if line.startswith("|  |")]
    assert any(f" {state.name} |" in head for head in heads)


@pytest.mark.parametrize("manual", ["", diagram.BEGIN, diagram.END])
def test_a_manual_without_the_marks_is_refused(manual: str) -> None:
    with pytest.raises(ValueError, match="the marks between which the drawing belongs are missing"):
        diagram.with_drawing(manual)
