"""An application of which a test can say what it does with each WebSocket, and see what came of it."""

from __future__ import annotations

import threading

from tests.worker.serving import TIMEOUT


class App:
    """Runs `talk(scope, receive, send)` for each WebSocket, and keeps what came of it."""

    def __init__(self, talk):
        self.talk = talk
        self.scopes = []
        self.received = []
        self.raised = []
        self.ended = threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        assert scope["type"] == "websocket"
        self.scopes.append(scope)

        async def received():
            message = await receive()
            self.received.append(message)
            return message

        try:
            await self.talk(received, send)
        except BaseException as error:
            self.raised.append(error)
            raise
        finally:
            self.ended.set()

    def wait(self):
        assert self.ended.wait(TIMEOUT), "the call has not ended"

    @property
    def last(self):
        """The last message, once the call has ended."""
        self.wait()
        return self.received[-1]


async def accept(receive, send, **more):
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


async def echo(receive, send):
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send(
            {"type": "websocket.send", **{key: message[key] for key in ("text", "bytes") if key in message}}
        )
