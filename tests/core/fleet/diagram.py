"""Draws the tables of transitions into the manual: `python -m tests.core.fleet.diagram docs/fleet.md`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from enum import Enum
from pathlib import Path

from sdserve.core.fleet.disregard import contradict, ignore
from sdserve.core.fleet.transitions import FLEET_MOVES, WORKER_MOVES, ZYGOTE_MOVES, Row
from tests.core.fleet import arrows

BEGIN = "<!-- Drawn by `python -m tests.core.fleet.diagram docs/fleet.md`. -->\n"
END = "<!-- End of the drawing. -->\n"

TABLES: Mapping[str, Mapping[Enum, Row]] = {
    "The fleet": FLEET_MOVES,
    "A generation and its zygote": ZYGOTE_MOVES,
    "A worker": WORKER_MOVES,
}
SHORT = {ignore.__name__: "", contradict.__name__: "!"}


def drawing() -> str:
    """Return a list of arrows and one Markdown table for each machine: a column for each state."""
    found = arrows.walk()
    return "\n".join(
        f"**{title}**\n\n{_arrows(table, found)}\n{_table(table)}" for title, table in TABLES.items()
    )


def _arrows(table: Mapping[Enum, Row], found: Collection[tuple[Enum, Enum]]) -> str:
    """Which states follow each; the end of what is gone or has ended is left out."""
    lines = ["```"]
    for state in table:
        following = [after.name for after in table if (state, after) in found]
        if following:
            lines.append(f"{state.name:<10} → {', '.join(following)}")
    return "\n".join([*lines, "```", ""])


def with_drawing(manual: str) -> str:
    """Return `manual` with what stands between the two marks drawn anew."""
    before, begin, rest = manual.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the marks between which the drawing belongs are missing")
    return f"{before}{begin}\n{drawing()}\n{end}{after}"


def _table(table: Mapping[Enum, Row]) -> str:
    kinds = list(next(iter(table.values())))
    lines = [
        _line("", *(state.name for state in table)),
        _line(*["---"] * (len(table) + 1)),
        *(_line(f"`{kind.__name__}`", *(_cell(row, kind) for row in table.values())) for kind in kinds),
    ]
    return "\n".join([*lines, ""])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(row: Row, kind: type) -> str:
    name = row[kind].__name__
    return SHORT.get(name, name.replace("_", " "))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_drawing(path.read_text()))
