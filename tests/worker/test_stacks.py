from __future__ import annotations

import threading

from sdserve.worker.stacks import stack_of
from tests.worker.serving import TIMEOUT


def stand(go_on, arrived, depth=0):
    if depth:
        return stand(go_on, arrived, depth - 1)
    arrived.set()
    return go_on.wait(TIMEOUT)


def stack_at(depth):
    go_on, arrived = threading.Event(), threading.Event()
    thread = threading.Thread(target=stand, args=(go_on, arrived, depth))
    thread.start()
    assert arrived.wait(TIMEOUT)
    found = stack_of(thread.ident)
    go_on.set()
    thread.join(TIMEOUT)
    return found.splitlines()


def test_a_stack_ends_with_where_the_thread_stands():
    lines = stack_at(0)
    (position,) = [number for number, line in enumerate(lines) if line.endswith("in stand")]
    assert lines[position].startswith(f'File "{__file__}", line ')
    assert lines[-1].endswith(("in Condition.wait", "in Event.wait", "in stand", "in Event.set"))


def test_of_a_deep_stack_the_innermost_frames_are_shown():
    lines = stack_at(200)
    assert len(lines) == 40
    assert lines[0].endswith("in stand")


def test_a_thread_that_has_ended():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join(TIMEOUT)
    assert stack_of(thread.ident) == "its end"
    assert stack_of(None) == "its end"
