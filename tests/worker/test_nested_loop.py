"""A WSGI application may run an event loop of its own, as async views of Django and Flask do."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync

from tests.serving import serve


async def answer():
    await asyncio.sleep(0)
    return b"answered"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/asyncio":
        return [asyncio.run(answer())]
    return iter([async_to_sync(answer)(), async_to_sync(answer)()])


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_view_may_run_a_loop(threads, loop):
    settings = {"workers.loop": loop}
    with serve(f"{__name__}:application", threads=threads, settings=settings) as server:
        for _ in range(3):
            assert server.request("GET", "/asyncio").body == b"answered"
            assert server.request("GET", "/asgiref").body == b"answered" * 2
