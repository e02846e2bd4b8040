from __future__ import annotations

import importlib.util
import os
import sys
import time
import types

from sdserve.host import modules


def module(monkeypatch, name, file):
    made = types.ModuleType(name)
    made.__file__ = file
    monkeypatch.setitem(sys.modules, name, made)


def test_only_what_was_changed_since_is_told(tmp_path, monkeypatch):
    now = time.time_ns() + 10**12  # what the tests themselves imported is older
    for name, age in (("old", 10**9), ("new", -(10**9)), ("newer", -(10**10))):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, ns=(now - age, now - age))
        module(monkeypatch, f"test_modules_{name}", str(tmp_path / name))
    module(monkeypatch, "test_modules_gone", str(tmp_path / "gone"))
    module(monkeypatch, "test_modules_odd", None)
    assert modules.newer_than(now, most=9) == (str(tmp_path / "new"), str(tmp_path / "newer"))
    assert modules.newer_than(now, most=1) == (str(tmp_path / "new"),)


def test_files_that_are_others_than_when_first_seen_are_found(tmp_path, monkeypatch):
    paths = {name: tmp_path / name for name in ("same", "edited", "replaced", "gone", "late")}
    for name, path in paths.items():
        path.write_text("")
        if name != "late":
            module(monkeypatch, f"test_modules_{name}", str(path))
    files = modules.ModuleFiles()
    mine = set(map(str, paths.values()))
    assert files.changed() & mine == set()
    paths["edited"].write_text("new")
    times = os.stat(paths["replaced"])
    (tmp_path / "copy").write_text("")
    os.utime(tmp_path / "copy", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(tmp_path / "copy", paths["replaced"])
    paths["gone"].unlink()
    paths["late"].write_text("new")
    module(monkeypatch, "test_modules_late", str(paths["late"]))
    found = {str(paths["edited"]), str(paths["replaced"])}
    for _ in range(2):
        assert files.changed() & mine == found


def test_a_module_that_is_loaded_lazily_stays_so(tmp_path, monkeypatch):
    (tmp_path / "test_modules_lazy.py").write_text("raise AssertionError('it was loaded')")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("test_modules_lazy")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "test_modules_lazy", lazy)
    spec.loader.exec_module(lazy)
    modules.ModuleFiles().changed()
    assert modules.newer_than(0, most=10**6)
