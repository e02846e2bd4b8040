"""Workers that do not go on: they are found and replaced, and the journal says what they were at."""

from __future__ import annotations

import pytest

from tests.system.instance import Instance
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.mark.parametrize("how", ["busy", "blocked"])
def test_a_worker_that_stalls_is_seen_and_replaced(hello: Instance, how: str) -> None:
    hello.configure("standing_still:app", "[workers]", "count = 1", "stall_timeout = 2s")
    hello.listen()
    hello.start()
    stalled = hello.request(f"/{how}?secret=1")
    with pytest.raises(ConnectionError):
        stalled.answer()
    assert hello.get("/").text == "going on"
    journal = hello.journal()
    assert f"it is {how}" in journal
    assert "standing_still.py" in journal, "its stack"
    assert "1 request is in flight, the oldest for " in journal
    assert f"GET /{how} from 127.0.0.1" in journal
    assert "secret" not in journal
    assert "killed: its loop has not turned for" in journal


def test_a_worker_that_does_not_boot_in_time_is_seen_and_killed(hello: Instance) -> None:
    hello.configure(
        "standing_still:app", "[workers]", "count = 1", "boot_timeout = 6s", "[environment]", "BOOTS = no"
    )
    hello.listen()
    hello.machine.systemctl("start", "--no-block", hello.service)
    wait_for(lambda: "killed: not ready within 6 s" in hello.journal(), what="it was killed")
    journal = hello.journal()
    assert "not ready within 6 s, asking for its stacks" in journal
    assert "standing_still.py" in journal, "its stack"
