from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sdserve
from sdserve.host import program

PYTHON = sys.executable


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Makes an executable file of that first line in the working directory; its name."""
    monkeypatch.chdir(tmp_path)

    def script(line, mode=0o755):
        (tmp_path / "sdserve").write_text(f"{line}\nimport sdserve\n")
        (tmp_path / "sdserve").chmod(mode)
        return "sdserve"

    return script


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("#!/usr/bin/python3", []),
        ("#!/usr/bin/python3 -I", ["-I"]),
        ("#!/usr/bin/env -S python3 -P -X dev", ["-P", "-X", "dev"]),
        ("#!/bin/sh", []),  # as installers write it when the interpreter's path is long
    ],
)
def test_a_script_is_executed_itself(script, tmp_path, line, options):
    name = script(line)
    command = program.command(["python3", *options, name, "run", "shop"], [name, "run", "shop"])
    assert command == (str(tmp_path / "sdserve"),)


@pytest.mark.parametrize(
    ("line", "mode", "options"),
    [
        ("#!/usr/bin/python3", 0o644, []),
        ("import os", 0o755, []),
        ("#!/usr/bin/python3", 0o755, ["-X", "dev"]),
        ("#!/usr/bin/python3 -I", 0o755, ["-P"]),
    ],
)
def test_a_script_that_somebody_gave_to_python_is_given_to_it_again(script, tmp_path, line, mode, options):
    name = script(line, mode)
    command = program.command(["python3", *options, name, "run", "shop"], [name, "run", "shop"])
    assert command == (PYTHON, *options, str(tmp_path / "sdserve"))


def test_a_script_that_is_gone_is_what_it_was(tmp_path):
    gone = str(tmp_path / "gone")
    assert program.command(["python3", gone, "run"], [gone, "run"]) == (PYTHON, gone)


@pytest.mark.parametrize(
    "options", [["-m", "sdserve"], ["-msdserve"], ["-Pm", "sdserve"], ["-X", "dev", "-m", "sdserve"]]
)
def test_a_module_is_started_as_one_again(options):
    main = os.path.join(os.path.dirname(sdserve.__file__), "__main__.py")
    for arguments in ([], ["run", "-m", "sdserve"]):
        command = program.command(["python3", *options, *arguments], [main, *arguments])
        assert command == (PYTHON, *options)


@pytest.mark.parametrize(
    "options", [["-P", "-m", "sdserve.tell"], ["-Bm", "sdserve.tell"], ["-P", "tell.py"]]
)
def test_this_process_is_the_default(tmp_path, options):
    package = copy(tmp_path)
    (package / "tell.py").write_text("from sdserve.host import program\nprint(*program.command())\n")
    (tmp_path / "tell.py").symlink_to("sdserve/tell.py")
    done = run(tmp_path, *options, "an", "argument")
    options = [str(tmp_path / part) if part == "tell.py" else part for part in options]
    assert done == f"{PYTHON} {' '.join(options)}"


def copy(directory):
    """A copy of our package, below `directory`."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(os.path.dirname(sdserve.__file__), directory / "sdserve", ignore=ignore))


def run(directory, *arguments):
    """What a Python says that has this directory's sdserve."""
    done = subprocess.run(
        [PYTHON, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
    )
    return done.stdout.strip()


def identity(directory):
    return run(directory, "-c", "from sdserve.host import program; print(program.identity())")


def test_the_same_program_has_the_same_identity(tmp_path):
    copy(tmp_path)
    assert identity(tmp_path) == identity(tmp_path)
    assert identity(tmp_path) != program.identity()


def edit(package):
    (package / "zygote/serving.py").write_text((package / "zygote/serving.py").read_text() + "\n")


def touch(package):
    os.utime(package / "errors.py", ns=(1, 1))


def add(package):
    (package / "host/another.py").touch()


def remove(package):
    (package / "worker/stacks.py").unlink()


@pytest.mark.parametrize("change", [edit, touch, add, remove])
def test_a_change_of_any_file_is_another_program(tmp_path, change):
    package = copy(tmp_path)
    before = identity(tmp_path)
    change(package)
    assert identity(tmp_path) != before


def test_another_version_interpreter_or_place_is_another_program(monkeypatch, tmp_path):
    before = program.identity()
    with monkeypatch.context() as changed:
        changed.setattr(sdserve, "__version__", "99")
        assert program.identity() != before
    with monkeypatch.context() as changed:
        changed.setattr(sys, "executable", "/usr/bin/env")
        assert program.identity() != before
    with monkeypatch.context() as changed:
        changed.setattr(sys, "version", "3.99")
        assert program.identity() != before
    (tmp_path / "sdserve").symlink_to(os.path.dirname(sdserve.__file__))
    monkeypatch.setattr(sdserve, "__file__", str(tmp_path / "sdserve/__init__.py"))
    assert program.identity() == before, "the same files by another name"


def test_files_that_are_replaced_meanwhile_are_no_error(tmp_path):
    package = copy(tmp_path)
    (package / "gone.py").symlink_to("nowhere")
    assert identity(tmp_path)


def test_the_description_has_both_versions():
    python = ".".join(map(str, sys.version_info[:3]))
    assert program.description().startswith(f"sdserve {sdserve.__version__} on Python {python}")
