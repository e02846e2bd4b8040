"""The journal's explanations belong to the ids that sdserve sends."""

import re
from pathlib import Path

import pytest

from sdserve.core import catalog

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "systemd/sdserve.catalog").read_text()
IDS = {name: value for name, value in vars(catalog).items() if name.isupper()}


def test_each_id_is_explained_and_no_other():
    assert sorted(re.findall("^-- (.*)$", TEXT, re.MULTILINE)) == sorted(IDS.values())


def test_the_manual_lists_all_ids():
    manual = (ROOT / "docs/systemd.md").read_text()
    assert sorted(re.findall("`([0-9a-f]{32})`", manual)) == sorted(IDS.values())


@pytest.mark.parametrize("name", IDS)
def test_an_id_has_128_bits_in_hexadecimal(name):
    assert re.fullmatch("[0-9a-f]{32}", IDS[name])


def test_each_explanation_has_what_the_journal_shows_above_it():
    for entry in TEXT.split("\n-- ")[1:]:
        _, subject, author, manual, empty, *_ = entry.splitlines()
        assert subject.startswith("Subject: ")
        assert author == "Defined-By: sdserve"
        assert re.fullmatch(r"Support: man:sdserve(\.ini)?\([58]\)", manual)
        assert not empty
