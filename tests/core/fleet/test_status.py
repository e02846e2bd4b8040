from __future__ import annotations

from sdserve.core.fleet.status import status_line
from tests.core.fleet.story import Story, full


def test_the_status_tells_one_trouble_and_counts_the_rest() -> None:
    story = full(4)
    for serial in (1, 2):
        story.worker_exits(serial, 1)
    assert story.status == (
        "Serving, 2 of 4 workers ready, slot 1 crashed (exit code 1), trying again, 1 more slot in trouble"
    )
    story.worker_exits(3, 1)
    assert story.status.endswith("2 more slots in trouble")


def test_the_status_says_so_when_nobody_serves() -> None:
    story = full(1)
    story.worker_exits(1, 1)
    assert story.status == "Not serving, 0 of 1 workers ready, slot 1 crashed (exit code 1), trying again"


def test_a_reason_cannot_smuggle_a_line_into_the_status() -> None:
    story = full(2)
    story.worker_fails(1, "oops\nREADY=1")
    story.worker_exits(1, 1)
    assert "failed: oops, trying again" in story.status


def test_before_the_start_there_is_nothing_to_say() -> None:
    assert status_line(Story().fleet) == ""


def test_the_status_of_a_stop_counts_who_is_left() -> None:
    story = full(3)
    story.worker_fails(1)
    story.is_told_to_stop()
    assert story.status == "Stopping, 3 workers draining"
    story.worker_exits(1, 1)
    story.is_told_to_stop()
    assert story.status == "Stopping, 2 workers killed"


def test_the_status_follows_a_reload() -> None:
    story = full(2)
    serving = "Serving, 2 of 2 workers ready"
    story.is_told_to_reload()
    assert story.status == f"{serving}, reloading to 2: being prepared"
    story.generation_is_prepared(2)
    assert story.status == f"{serving}, reloading to 2: its zygote opens"
    story.zygote_is_ready(2)
    assert story.status == f"{serving}, reloading to 2: its first worker boots"
    story.worker_comes_up(3)
    assert story.status == f"{serving}, generation 2, reloading to 2: 1 of 2 rolled, 1 draining"
    story.worker_comes_up(4)
    assert story.status == f"{serving}, generation 2, 2 draining"


def test_a_failed_reload_is_remembered_until_the_next_one() -> None:
    story = full(1)
    story.is_told_to_reload()
    story.generation_is_refused(2, "shop.ini:3: no such option\nshop.ini:4: nor this")
    assert story.status.endswith("workers ready, the reload to 2 failed: shop.ini:3: no such option")
    story.is_told_to_reload()
    assert story.status == "Serving, 1 of 1 workers ready, reloading to 3: being prepared"
