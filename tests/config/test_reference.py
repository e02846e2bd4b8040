import runpy
import sys
from pathlib import Path

import pytest

from sdserve.config import reference
from sdserve.config.options import OPTIONS

MANUAL = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_the_tables_in_the_manual_are_current():
    manual = MANUAL.read_text()
    assert manual == reference.with_tables(manual), (
        "run python -m sdserve.config.reference docs/configuration.md"
    )


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.section}.{option.name}")
def test_every_option_has_its_line(option):
    line = next(line for line in reference.tables().splitlines() if line.startswith(f"| `{option.name}` |"))
    assert option.help in line
    assert option.kind.what in line
    assert line.count("|") == 5


def test_what_stands_around_the_tables_is_kept():
    manual = f"before\n{reference.BEGIN}old\n{reference.END}after\n"
    assert (
        reference.with_tables(manual)
        == f"before\n{reference.BEGIN}\n{reference.tables()}\n{reference.END}after\n"
    )


@pytest.mark.parametrize("manual", ["", reference.BEGIN, reference.END, reference.END + reference.BEGIN])
def test_a_manual_without_the_marks_is_refused(manual):
    with pytest.raises(ValueError, match="the marks between which the tables belong are missing"):
        reference.with_tables(manual)


def test_as_a_program_it_updates_the_file(tmp_path, monkeypatch):
    manual = tmp_path / "manual.md"
    manual.write_text(reference.BEGIN + reference.END)
    monkeypatch.setattr(sys, "argv", ["reference", str(manual)])
    monkeypatch.delitem(sys.modules, "sdserve.config.reference")
    runpy.run_module("sdserve.config.reference", run_name="__main__")
    assert "### [workers]" in manual.read_text()
