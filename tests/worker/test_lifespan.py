"""The ASGI lifespan: https://asgi.readthedocs.io/en/stable/specs/lifespan.html."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sdserve.errors import BootError
from tests.worker.serving import TIMEOUT


async def answer(scope, send, body=b"hello"):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


class Application:
    """Plays its part of the lifespan as it is told to."""

    def __init__(self, lifespan):
        self._lifespan = lifespan
        self.requests = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            self.requests.append(scope)
            await answer(scope, send)


async def well(scope, receive, send):
    assert await receive() == {"type": "lifespan.startup"}
    await send({"type": "lifespan.startup.complete"})
    assert await receive() == {"type": "lifespan.shutdown"}
    await send({"type": "lifespan.shutdown.complete"})


async def raises_at_once(scope, receive, send):
    raise KeyError(scope["type"])


async def returns_at_once(scope, receive, send):
    pass


@pytest.mark.parametrize("lifespan", [raises_at_once, returns_at_once])
def test_an_application_without_one(serve, lifespan):
    application = Application(lifespan)
    worker = serve(application)
    assert worker.request().body == b"hello"
    assert "state" not in application.requests[0]
    assert worker.errors() == []


def test_start_up_and_shutdown_come_once_each_and_in_order(serve):
    order = []

    async def lifespan(scope, receive, send):
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        order.append((await receive())["type"])
        await send({"type": "lifespan.startup.complete"})
        order.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    worker = serve(Application(lifespan))
    assert order == ["lifespan.startup"]
    assert worker.request().body == b"hello"
    assert worker.errors() == []
    assert order == ["lifespan.startup", "lifespan.shutdown"]


def test_shutdown_comes_when_nothing_is_in_flight(serve):
    finish, order = asyncio.Event(), []

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            order.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await finish.wait()
            await answer(scope, send)
            order.append("answered")

    worker = serve(application)
    client = worker.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    worker.settle()
    worker.drain()
    worker.call(finish.set)
    assert client.response().body == b"hello"
    worker.wait_until_drained()
    assert order == ["answered", "shutdown"]


def test_the_state_is_copied_into_each_request(serve):
    pool = []

    async def lifespan(scope, receive, send):
        await receive()
        scope["state"]["pool"] = pool
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    application = Application(lifespan)
    worker = serve(application)
    for number in range(2):
        worker.request()
        state = application.requests[number]["state"]
        del state["sdserve.draining"]
        assert state == {"pool": pool}  # nothing of the other request
        assert state["pool"] is pool  # a shallow copy
        state["mine"] = number


async def fails(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def fails_without_a_reason(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed"})


async def fails_and_raises(scope, receive, send):
    """As Starlette does it."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    raise ConnectionError("no database")


async def fails_before_it_is_asked(scope, receive, send):
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    raise ConnectionError("no database")


async def fails_and_stays(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    await asyncio.Event().wait()


async def raises_in_its_start_up(scope, receive, send):
    await receive()
    raise ConnectionError("no database")


async def exits_in_its_start_up(scope, receive, send):
    await receive()
    raise SystemExit("in time")


async def is_interrupted_in_its_start_up(scope, receive, send):
    await receive()
    raise KeyboardInterrupt


async def returns_without_an_answer(scope, receive, send):
    await receive()


async def is_cancelled_in_its_start_up(scope, receive, send):
    await receive()
    raise asyncio.CancelledError


async def answers_something_else(scope, receive, send):
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def sends_what_nobody_knows(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complet"})


async def sends_no_message(scope, receive, send):
    await receive()
    await send(None)


MISTAKEN = "the application's start-up raised LocalProtocolError: the application sent "


@pytest.mark.parametrize(
    ("lifespan", "message"),
    [
        (fails, "the application's start-up failed: no database"),
        (fails_without_a_reason, "the application's start-up failed: no reason given"),
        (fails_and_raises, "the application's start-up raised ConnectionError: no database"),
        (
            fails_before_it_is_asked,
            "the application's start-up raised ConnectionError: no database",
        ),
        (fails_and_stays, "the application's start-up failed: no database"),
        (raises_in_its_start_up, "the application's start-up raised ConnectionError: no database"),
        (
            exits_in_its_start_up,
            "the application's start-up raised RuntimeError: the application raised SystemExit('in time')",
        ),
        (
            is_interrupted_in_its_start_up,
            "the application's start-up raised RuntimeError: the application raised KeyboardInterrupt()",
        ),
        (returns_without_an_answer, "the application's start-up ended without an answer"),
        (is_cancelled_in_its_start_up, "the application's start-up ended without an answer"),
        (
            answers_something_else,
            MISTAKEN + "lifespan.shutdown.complete where it was not due",
        ),
        (
            sends_what_nobody_knows,
            MISTAKEN + "what no lifespan has: {'type': 'lifespan.startup.complet'}",
        ),
        (
            sends_no_message,
            MISTAKEN + "what no lifespan has: None",
        ),
    ],
)
def test_a_start_up_that_fails(serve, lifespan, message):
    with pytest.raises(BootError) as caught:
        serve(Application(lifespan))
    assert str(caught.value) == message
    assert (caught.value.__cause__ is not None) is ("raised" in message)


async def repeats_itself(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def raises_while_serving(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    raise ConnectionError


async def returns_while_serving(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def fails_to_shut_down(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "the disk is full"})


async def raises_at_shutdown(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise OSError


@pytest.mark.parametrize(
    ("lifespan", "errors"),
    [
        (well, []),
        (repeats_itself, []),
        (returns_while_serving, []),
        (raises_while_serving, ["the application's shutdown raised"]),
        (fails_to_shut_down, ["the application's shutdown failed: the disk is full"]),
        (raises_at_shutdown, ["the application's shutdown raised"]),
    ],
)
def test_a_worker_serves_and_ends_however_the_shutdown_goes(serve, lifespan, errors):
    worker = serve(Application(lifespan))
    assert worker.request().body == b"hello"
    assert worker.errors() == errors


def test_a_shutdown_that_takes_too_long_is_left(serve):
    reached = threading.Event()

    async def lifespan(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        reached.set()
        await asyncio.Event().wait()

    worker = serve(Application(lifespan), drain_timeout=0.1)
    worker.drain()
    assert reached.wait(TIMEOUT)
    worker.wait_until_drained()
    assert worker.errors() == ["the application's shutdown took longer than the drain time-out; leaving it"]


def test_an_application_that_takes_every_scope_for_a_request_has_no_lifespan(serve):
    async def application(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    assert serve(application).request().body == b"hello"
