"""A server that nobody asks anything lets the machine sleep."""

from __future__ import annotations

import re

import pytest

from tests.system.instance import Instance
from tests.system.pairs import one_each
from tests.system.waiting import let_pass

pytestmark = pytest.mark.system

WINDOW_SECONDS = 6.0
WAKEUPS_PER_SECOND = 2.0
STRAY_WAKEUPS = 2
"""What a window may have more: one tick at each of its ends."""


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_no_process_wakes_more_than_twice_a_second(hello: Instance, application: str) -> None:
    hello.configure(application, "[workers]", "count = 1", "threads = 4")
    hello.listen()
    hello.start()
    assert hello.get("/").status == 200
    pids = sorted(hello.pids())
    assert len(pids) == 3, "the supervisor, the zygote and a worker"

    before = {pid: wakeups(hello, pid) for pid in pids}
    seconds = let_pass(WINDOW_SECONDS)
    rose = {pid: wakeups(hello, pid) - before[pid] for pid in pids}

    limit = WAKEUPS_PER_SECOND * seconds + STRAY_WAKEUPS
    assert all(count <= limit for count in rose.values()), f"wake-ups in {seconds:.1f} s: {rose}"


def wakeups(instance: Instance, pid: int) -> int:
    """Return how often the threads of a process have gone to sleep so far, which is as often as they woke."""
    tasks = instance.machine.path(f"/proc/{pid}/task").glob("*/status")
    return sum(int(re.findall(r"^voluntary\D*(\d+)", task.read_text(), re.MULTILINE)[0]) for task in tasks)
