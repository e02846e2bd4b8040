from __future__ import annotations

from pathlib import Path

import pytest

from sdserve.errors import SdserveError
from sdserve.host.systemctl import Systemctl


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program of that name, whose text a test gives."""

    def write(text):
        path = tmp_path / "systemctl"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return write


def test_it_returns_what_is_printed(program):
    program('echo "$@"')
    assert Systemctl().run("cat", "x") == "cat x\n"
    assert Systemctl(is_user=True).run("cat", "x") == "--user cat x\n"


def test_a_failure_has_its_own_words(program):
    program("echo no such unit >&2; exit 5")
    with pytest.raises(SdserveError, match="systemctl --user stop x: no such unit"):
        Systemctl(is_user=True).run("stop", "x")
    program("exit 5")
    with pytest.raises(SdserveError, match="systemctl stop x: exit code 5"):
        Systemctl().run("stop", "x")


def test_without_systemd_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SdserveError, match="there is no systemctl here"):
        Systemctl().run("stop", "x")


@pytest.mark.parametrize(("state", "is_active"), [("active", True), ("activating", True), ("failed", False)])
def test_what_is_about_to_run_counts_as_running(program, state, is_active):
    program(f"echo {state}")
    assert Systemctl().is_active("x.service") is is_active


def test_generators_write_to_a_directory_of_the_manager(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert Systemctl().generated() == Path("/run/systemd/generator")
    assert Systemctl(is_user=True).generated() == Path("/run/user/1/systemd/generator")
