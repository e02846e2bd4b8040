from __future__ import annotations

import email.utils
import time

import pytest

from sdserve.worker.clock import Clock


def test_the_time_is_that_of_the_last_tick():
    clock = Clock("")
    first = clock.now
    assert first <= time.monotonic()
    clock.tick()
    assert first <= clock.now <= time.monotonic()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_the_date_is_utc_whatever_the_time_zone(monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        before = int(time.time())
        date = Clock("").standing[0].decode()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert date.startswith("\r\ndate: ")
    assert date.endswith(" GMT")
    said = email.utils.parsedate_to_datetime(date.removeprefix("\r\ndate: ")).timestamp()
    assert before <= said <= time.time()


def test_the_server_header_is_the_configured_one():
    assert b"\r\nserver: shop" in Clock("shop").standing[0]
    assert b"server" not in Clock("").standing[0]
