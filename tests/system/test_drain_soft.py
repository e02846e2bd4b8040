"""An answer that would go on for ever, when its worker has to go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.instance import Instance

pytestmark = pytest.mark.system

APPLICATION = """
import asyncio

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    await receive()
    while (await receive())["type"] != "http.disconnect":
        pass
    draining = scope["state"]["sdserve.draining"].is_set()
    await send({"type": "http.response.body", "body": b"told" if draining else b"gone"})
"""


def test_a_stream_is_told_and_comes_to_its_end_while_the_new_code_serves(hello: Instance) -> None:
    hello.machine.write("/srv/stream/stream.py", APPLICATION)
    hello.configure(
        "stream:application",
        "[workers]",
        "drain_soft = 500ms",
        "drain_timeout = 60s",
        directory="/srv/stream",
    )
    hello.listen()
    hello.start()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(hello.request("/").answer)
        before = hello.main_pid()
        hello.machine.systemctl("reload", hello.service)
        done = answer.result(timeout=30)
    assert (done.status, done.text) == (200, "begun told")
    assert hello.main_pid() == before
