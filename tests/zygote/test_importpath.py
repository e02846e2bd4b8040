from __future__ import annotations

import site
import sys

import pytest

from sdserve.zygote import importpath


@pytest.fixture
def path(monkeypatch):
    """sys.path as in an interpreter that was just started, with its own packages in /own."""
    monkeypatch.setattr(sys, "path", ["/usr/lib/python311.zip", "/usr/lib/python3.11", "/own"])
    monkeypatch.setattr(site, "getsitepackages", lambda: ["/own"])
    return sys.path


def test_the_directory_comes_first(path):
    importpath.arrange("/srv/shop", [])
    assert path == ["/srv/shop", "/usr/lib/python311.zip", "/usr/lib/python3.11", "/own"]


def test_a_venv_stands_between_the_standard_library_and_our_own_packages(path, tmp_path):
    (tmp_path / "editable").mkdir()
    (tmp_path / "shop.pth").write_text(f"{tmp_path}/editable\n{tmp_path}/missing\n")
    importpath.arrange("/srv/shop", [str(tmp_path)])
    assert path[2:] == ["/usr/lib/python3.11", str(tmp_path), f"{tmp_path}/editable", "/own"]


def test_a_venv_that_sdserve_runs_in_is_not_added_again(path, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path)])
    path[:] = ["/usr/lib/python3.11", str(tmp_path)]
    importpath.arrange("/srv/shop", [str(tmp_path)])
    assert path == ["/srv/shop", "/usr/lib/python3.11", str(tmp_path)]


def test_without_packages_of_our_own_a_venv_comes_last(path, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "getsitepackages", list)
    importpath.arrange("/srv/shop", [str(tmp_path)])
    assert path[-2:] == ["/own", str(tmp_path)]
