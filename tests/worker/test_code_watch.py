from __future__ import annotations

import sys
import threading
import types

from sdserve.worker import code_watch
from sdserve.worker.boot import new_event_loop
from sdserve.worker.code_watch import CodeWatch
from tests.worker.serving import TIMEOUT


def test_each_file_that_changes_is_reported_once_on_the_loop(tmp_path, monkeypatch, loop_kind):
    monkeypatch.setattr(code_watch, "PERIOD", 0.01)
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_text("")
        module = types.ModuleType(path.name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, f"test_code_watch_{path.name}", module)
    loop = new_event_loop(loop_kind)
    reports, threads = [], set()
    looks = []

    def note(changed):
        threads.add(threading.current_thread())
        reports.append([name for name in changed if name.startswith(str(tmp_path))])
        change()

    def change():
        """The next file, after the first look, and then nothing more to the end."""
        if paths:
            paths.pop(0).write_text("changed")
        else:
            loop.call_later(20 * code_watch.PERIOD, loop.stop)

    watch = CodeWatch(loop, note)
    look = watch._files.changed

    def counted():
        found = look()
        looks.append(threading.current_thread())
        if len(looks) == 1:
            change()
        return found

    monkeypatch.setattr(watch._files, "changed", counted)
    watch.look()
    loop.call_later(TIMEOUT, loop.stop)
    loop.run_forever()
    for thread in looks:
        thread.join(TIMEOUT)
    loop.close()
    assert reports == [[str(tmp_path / "one")], [str(tmp_path / "two")]]
    assert threads == {threading.current_thread()}
    assert threading.current_thread() not in looks


def test_a_look_that_outlives_the_loop_is_nobodys_trouble(loop_kind):
    loop = new_event_loop(loop_kind)
    watch = CodeWatch(loop, lambda changed: None)
    loop.close()
    watch._compare()
