"""The tables of options in the manual, made from their declarations.

`python -m sdserve.config.reference docs/configuration.md` puts the current ones into the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sdserve.config.options import BY_SECTION, LISTEN, Option

BEGIN = "<!-- The tables are made by `python -m sdserve.config.reference docs/configuration.md`. -->\n"
END = "<!-- End of the tables. -->\n"


def tables() -> str:
    """Return one Markdown table for each section, with its heading."""
    return "\n".join(_table(section, options) for section, options in BY_SECTION.items())


def with_tables(manual: str) -> str:
    """Return `manual` with what stands between the two marks replaced by the current tables."""
    before, begin, rest = manual.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the marks between which the tables belong are missing")
    return f"{before}{begin}\n{tables()}\n{end}{after}"


def _table(section: str, options: dict[str, Option]) -> str:
    name = f"{section}:NAME" if section == LISTEN else section
    lines = [f"### [{name}]", "", "| Option | Value | Default | Meaning |", "|---|---|---|---|"]
    for option in options.values():
        meaning = option.help + (" (restart)" if option.needs_restart else "")
        lines.append(f"| `{option.name}` | {option.kind.what} | {_default(option)} | {meaning} |")
    return "\n".join([*lines, ""])


def _default(option: Option) -> str:
    if option.kind.several or option.default in ("", ()):
        return ""
    return f"`{option.kind.show(option.default)}`"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text()))
