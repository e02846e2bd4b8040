from __future__ import annotations

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
