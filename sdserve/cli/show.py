"""`sdserve show TARGET`: every effective value, and where it was set."""

from __future__ import annotations

import argparse
from itertools import groupby

from sdserve.cli.arguments import add_target, load_target
from sdserve.cli.output import write
from sdserve.config.listing import Row, rows

NAME = "show"
HELP = "print every effective value, and the file and line that set it"
EXAMPLES = """\
  sdserve show shop
  sdserve show shop --set workers.count=8   with what `run` would make of the same options"""

WIDEST_VALUE = 40
"""Columns; longer values push only their own comment to the right."""

add_arguments = add_target


def execute(arguments: argparse.Namespace) -> int:
    """Print one block of lines for each section."""
    shown = list(rows(load_target(arguments)))
    names = max(len(_name(row)) for row in shown)
    values = min(WIDEST_VALUE, max(len(row.text) for row in shown))
    blocks = []
    for _, block in groupby(shown, key=lambda row: row.section):
        lines = [f"{_name(row):<{names}} = {row.text:<{values}}  # {row.origin}" for row in block]
        blocks.append("\n".join(lines))
    return write("\n\n".join(blocks))


def _name(row: Row) -> str:
    return f"{row.section}.{row.option}"
