"""Breaks the fleet on purpose, a little each time, to see whether its tests notice.

`make mutation`, or `python -m tests.core.fleet.mutation [SECONDS [SEED]]`: in a copy of the fleet and its
tests one thing after another is changed, in an order that SEED decides, until SECONDS are over. What no test
has noticed is listed; it is a test that is missing, or code that makes no difference.
"""

from __future__ import annotations

import ast
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parents[3]
FLEET = Path("sdserve/core/fleet")
TESTS = Path("tests/core/fleet")
COPIED = ("pyproject.toml", "sdserve/__init__.py", "sdserve/errors.py", "sdserve/core", "tests/core/fleet")
NOTHING_TO_BREAK = {"effects.py", "events.py", "model.py", "options.py", "disregard.py"}
NOT_OF_THE_FLEET = ("test_diagram.py", "test_mutation.py")
"""Tests that are about these tools; the first would notice a broken table without knowing what it means."""
HISTORIES = "test_machine.py"
PROFILE = """
from hypothesis import Phase, settings

settings.register_profile("mutation", phases=[Phase.generate], database=None)
settings.load_profile("mutation")
"""
"""For a history that fails no simpler one is looked for: nobody reads it, and that takes most of the time."""
PATIENCE = 5
"""How many times longer than usual the tests of a mutant may take: one that never ends has been noticed."""

FLIPS: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}

Change = Callable[[], None]


@dataclass(frozen=True)
class Mutant:
    """One changed line of one file."""

    file: str
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{FLEET / self.file}:{self.line}: {self.what}"


def mutants(file: Path) -> Iterator[Mutant]:
    """All that can be changed in `file`, one at a time."""
    source = file.read_text()
    for number in range(len(list(_changes(ast.parse(source))))):
        tree = ast.parse(source)
        line, what, change = list(_changes(tree))[number]
        change()
        yield Mutant(file.name, line, what, ast.unparse(tree))


def _changes(tree: ast.Module) -> Iterator[tuple[int, str, Change]]:
    for node in ast.walk(tree):
        for what, change in (*_changes_of_what_is_asked(node), *_changes_of_what_is_done(node)):
            yield node.lineno, what, change


def _changes_of_what_is_asked(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare(ops=[operator]):
            flipped = FLIPS[type(operator)]
            yield f"{ast.unparse(node)}: flipped", lambda: node.ops.__setitem__(0, flipped)
        case ast.BoolOp(op=operator):
            other = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield f"{ast.unparse(node)}: and, or", lambda: setattr(node, "op", other)
        case (
            ast.If(test=ast.Name() | ast.Attribute() | ast.Call() | ast.NamedExpr())
            | ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call())
        ):
            negated = ast.UnaryOp(ast.Not(), node.test)
            yield f"{ast.unparse(node.test)}: negated", lambda: setattr(node, "test", negated)
        case ast.Constant(value=bool() | int() | float() as value):
            changed = not value if isinstance(value, bool) else value + 1
            yield f"{value}: {changed}", lambda: setattr(node, "value", changed)


def _changes_of_what_is_done(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Tuple(elts=[_, *_] as parts, ctx=ast.Load()):
            for index, part in enumerate(parts):
                if _is_order(part) or _is_rule(part):
                    yield f"{ast.unparse(part)}: left out", lambda index=index: parts.pop(index)
        case ast.Call(func=ast.Name(id="replace"), keywords=keywords):
            for index, keyword in enumerate(keywords):
                yield f"{ast.unparse(keyword)}: not set", lambda index=index: keywords.pop(index)
        case ast.Dict(values=values):
            for index, value in enumerate(values):
                if isinstance(value, ast.Attribute):
                    ignored = ast.Name("ignore", ast.Load())
                    yield (
                        f"{ast.unparse(value)}: ignored",
                        lambda index=index, ignored=ignored: values.__setitem__(index, ignored),
                    )


def _is_order(part: ast.expr) -> bool:
    return isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id[0].isupper()


def _is_rule(part: ast.expr) -> bool:
    return isinstance(part, ast.Attribute) and ast.unparse(part.value).endswith("_rules")


def survives(mutant: Mutant, place: Path, seconds: float) -> bool:
    """Whether all tests in the copy at `place` pass, each part of them in `seconds`, while it is broken."""
    target = place / FLEET / mutant.file
    whole = target.read_text()
    target.write_text(mutant.source)
    try:
        return _tests_pass(place, seconds)
    finally:
        target.write_text(whole)


def _tests_pass(place: Path, seconds: float | None = None) -> bool:
    """The stories first: they are quick, and most of what is broken they notice."""
    spared = [f"--ignore={TESTS / name}" for name in NOT_OF_THE_FLEET]
    stories = [*spared, f"--ignore={TESTS / HISTORIES}", str(TESTS)]
    return _pass(place, stories, seconds) and _pass(place, [str(TESTS / HISTORIES)], seconds)


def _pass(place: Path, arguments: list[str], seconds: float | None) -> bool:
    # Only the whole fleet is kept compiled: a mutant may differ from it in neither size nor second.
    keep = [] if seconds is None else ["-B"]
    command = [sys.executable, *keep, "-m", "pytest", "-x", "-q", "--tb=no", "--assert=plain", *arguments]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, timeout=seconds, check=False)
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False


def copy_to(place: Path) -> None:
    """Put everything there that the tests of the fleet need."""
    for name in COPIED:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place / name)
    (place / "conftest.py").write_text(PROFILE)


def main(seconds: float = 600, seed: int = 1) -> int:
    """Break one thing after another until `seconds` are over; how many went unnoticed."""
    files = sorted(file for file in (ROOT / FLEET).glob("*.py") if file.name not in NOTHING_TO_BREAK)
    all_of_them = [mutant for file in files for mutant in mutants(file)]
    random.Random(seed).shuffle(all_of_them)
    end, tried, survivors = monotonic() + seconds, 0, 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        copy_to(place)
        begin = monotonic()
        if not _tests_pass(place):
            raise SystemExit("the tests fail although nothing is broken")
        usual = monotonic() - begin
        for mutant in all_of_them:
            if monotonic() > end:
                break
            tried += 1
            if survives(mutant, place, PATIENCE * usual):
                survivors += 1
                print(f"unnoticed: {mutant}", flush=True)
    print(f"{tried} of {len(all_of_them)} mutants, {survivors} unnoticed")
    return survivors


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
