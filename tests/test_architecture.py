"""The house rules that a machine can check. The direction of imports is a contract of import-linter."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "sdserve").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LINES = 500
FUNCTION_LINES = 60
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
"""Names of files into which anything would fit."""
IMPURE = {
    "asyncio", "logging", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal",
    "socket", "subprocess", "threading", "time",
}  # fmt: skip
"""What decides must not touch the world, nor ask it for the time."""


def name_of(path):
    return str(path.relative_to(ROOT))


def parse(path):
    return ast.parse(path.read_text(), name_of(path))


def functions(path):
    return [
        node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def imports(path):
    """Return the full names of all modules that `path` imports, wherever in it."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


every_source = pytest.mark.parametrize("path", SOURCES, ids=name_of)
every_file = pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)


@every_file
def test_a_file_is_not_too_long(path):
    assert len(path.read_text().splitlines()) < FILE_LINES


@every_file
def test_a_function_is_not_too_long(path):
    too_long = {
        f"{node.name}, line {node.lineno}": length
        for node in functions(path)
        if (length := (node.end_lineno or 0) - node.lineno + 1) >= FUNCTION_LINES
    }
    assert too_long == {}


@every_file
def test_a_name_says_what_is_in_a_file(path):
    assert DRAWERS & {path.stem, *path.relative_to(ROOT).parts} == set()


@every_source
def test_imports_name_their_module_in_full(path):
    assert [name for name in imports(path) if name.startswith(".")] == []


@every_source
def test_the_core_is_pure(path):
    if "core" not in path.relative_to(ROOT).parts:
        return
    found = imports(path)
    assert {name.partition(".")[0] for name in found} & IMPURE == set()
    allowed = ("sdserve.core", "sdserve.errors")
    assert [name for name in found if name.startswith("sdserve") and not name.startswith(allowed)] == []


def test_only_the_supervisor_and_the_zygote_know_systemd_and_only_through_host():
    users = [name_of(path) for path in SOURCES if any(name.startswith("systemd") for name in imports(path))]
    assert all(name.startswith("sdserve/host/") for name in users)


@every_source
def test_a_module_says_what_it_is_for(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(parse(path))


@every_source
def test_not_every_exception_is_passed_over(path):
    silent = re.compile(r"except( Exception| BaseException)?:\n\s+pass\n")
    assert silent.search(path.read_text()) is None


def test_the_tests_mirror_the_rooms():
    rooms = {path.parent.relative_to(ROOT / "sdserve") for path in SOURCES if functions(path)}
    assert [str(room) for room in sorted(rooms) if not (ROOT / "tests" / room).is_dir()] == []


def test_dependencies_are_those_that_are_declared():
    declared = {"h11", "systemd", "uvloop", "websockets"}
    foreign = {
        name.partition(".")[0]
        for path in SOURCES
        for name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert foreign <= declared | {"sdserve"}
