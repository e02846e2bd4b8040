from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sdserve.cli import manual
from sdserve.cli.main import COMMANDS
from sdserve.config.options import OPTIONS

OWN = Path(__file__).parents[2] / "packaging/man/sdserve@.service.8"


def plain(page):
    """Return the text of a page, without what is for roff."""
    return re.sub(r"\\f[BIR]", "", page).replace("\\-", "-").replace("\\e", "\\")


def test_every_option_is_in_the_manual_with_its_help():
    page = plain(manual.ini_page())
    for option in OPTIONS:
        assert f".BR {option.name} " in page
        assert re.sub("`", "", option.help).replace("~", "\\(ti") in page


def test_every_command_is_in_the_manual_with_its_examples():
    page = plain(manual.command_page())
    for name, command in COMMANDS.items():
        assert f"\n.SS {name}\n" in page
        assert command.EXAMPLES.splitlines()[0].strip()[:30] in page
    assert "78  wrong configuration" in page


@pytest.mark.parametrize("make", [manual.ini_page, manual.command_page, OWN.read_text])
def test_a_page_is_well_formed(make, tmp_path):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    page = tmp_path / "page"
    page.write_text(make())
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", page], check=False, capture_output=True, text=True
    )
    # It has no date: the same source is to give the same page.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_what_roff_would_interpret_is_escaped():
    assert manual._roff("a-b \\ `--x`") == "a\\-b \\e \\fB\\-\\-x\\fR"
    assert manual._roff(".x") == "\\&.x"
