"""Sites whose start-up or shutdown goes wrong in one of the ways that the ASGI specification knows."""

from __future__ import annotations

from tests.bench.apps.raw import BODY, START


async def hello(send):
    await send(START)
    await send(BODY)


async def refuses_with_exception(scope, receive, send):
    """What the specification allows: an application that does not know the scope type raises."""
    if scope["type"] != "http":
        raise ValueError(f"unknown scope type {scope['type']}")
    await hello(send)


async def fails(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def fails_to_shut_down(scope, receive, send):
    if scope["type"] == "http":
        await hello(send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "database busy"})
