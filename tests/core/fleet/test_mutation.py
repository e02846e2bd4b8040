from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.fleet import mutation

SOURCE = '''
def move(fleet, now):
    """Words and 1 number."""
    if fleet.{test}:
        return replace(fleet, at=now), (Kill(1), Log("x"))
    return (slot_rules.fill, move), {{A: worker.boot}}
'''


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("fleet.now < now: flipped", "fleet.now <= now"),
        ("at=now: not set", "replace(fleet)"),
        ("Kill(1): left out", "(Log('x'),)"),
        ("Log('x'): left out", "(Kill(1),)"),
        ("1: 2", "Kill(2)"),
        ("slot_rules.fill: left out", "(move,)"),
        ("worker.boot: ignored", "{A: ignore}"),
    ],
)
def test_one_thing_at_a_time_is_broken(tmp_path: Path, what: str, broken: str) -> None:
    file = tmp_path / "move.py"
    file.write_text(SOURCE.format(test="now < now"))
    found = {mutant.what: mutant for mutant in mutation.mutants(file)}
    assert len(found) == 7
    assert broken in found[what].source
    others = {mutant.source for mutant in found.values()} - {found[what].source}
    assert all(broken not in source for source in others)


@pytest.mark.parametrize(
    ("test", "broken"), [("up", "not fleet.up"), ("a and b", "fleet.a or b"), ("up == True", "== False")]
)
def test_conditions_are_broken_too(tmp_path: Path, test: str, broken: str) -> None:
    file = tmp_path / "move.py"
    file.write_text(SOURCE.format(test=test))
    assert any(broken in mutant.source for mutant in mutation.mutants(file))


def test_every_file_that_decides_something_is_broken() -> None:
    files = [file for file in (mutation.ROOT / mutation.FLEET).glob("*.py") if file.read_text()]
    spared = {file.name for file in files if not next(mutation.mutants(file), None)}
    assert spared <= mutation.NOTHING_TO_BREAK
