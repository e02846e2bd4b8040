"""A request that takes too long, with a whole sdserve around the application."""

from __future__ import annotations

import time

import pytest

from tests.serving import TIMEOUT, serve


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_worker_with_a_request_that_takes_too_long_is_replaced(threads, loop):
    settings = {"workers.loop": loop, "workers.request_timeout": "200ms", "workers.drain_timeout": "1s"}
    with serve("tests.worker.applications:stuck", threads=threads, settings=settings) as server:
        before = server.request("GET", "/pid").text
        assert server.request("GET", "/sleep").status == 504
        deadline = time.monotonic() + TIMEOUT
        while server.request("GET", "/pid").text == before:
            assert time.monotonic() < deadline, "it was not replaced"
        assert "this worker asks to be replaced" in server.stderr()
