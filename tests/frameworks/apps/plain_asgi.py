"""ASGI without a framework; what the server gives to it is checked against the specification in passing."""

from __future__ import annotations

import json as codec
import sys
from pathlib import Path
from urllib.parse import parse_qs

from tests.frameworks.apps import async_site, site

TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")


class Request:
    """One HTTP connection scope with its two functions."""

    def __init__(self, scope, receive, send):
        check_scope(scope)
        self.scope = scope
        self._receive = receive
        self._send = send

    def arguments(self):
        return parse_qs(self.scope["query_string"].decode("ascii"))

    async def pieces(self):
        more = True
        while more:
            message = await self._receive()
            assert message["type"] == "http.request", message
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def body(self):
        return b"".join([piece async for piece in self.pieces()])

    async def disconnect(self):
        message = await self._receive()
        assert message == {"type": "http.disconnect"}

    async def start(self, status, *fields):
        await self._send({"type": "http.response.start", "status": status, "headers": list(fields)})

    async def send(self, body, *, more=False):
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def text(self, content, *fields, status=200):
        body = content.encode()
        await self.start(status, TEXT, (b"content-length", str(len(body)).encode()), *fields)
        await self.send(body)

    async def json(self, content):
        await self.start(200, JSON)
        await self.send(codec.dumps(content).encode())

    async def stream(self, pieces):
        await self.start(200, TEXT)
        async for piece in pieces:
            await self.send(piece, more=True)
        await self.send(b"")


def check_scope(scope):
    """The types and forms that ASGI 3 promises for an HTTP scope."""
    assert scope["asgi"]["version"] == "3.0"
    assert scope["asgi"]["spec_version"] >= "2.3"
    assert scope["http_version"] in ("1.0", "1.1")
    assert scope["method"].isupper()
    assert isinstance(scope["path"], str)
    assert isinstance(scope["raw_path"], bytes)
    assert b"?" not in scope["raw_path"]
    assert isinstance(scope["query_string"], bytes)
    assert scope["root_path"] == ""
    for name, value in scope["headers"]:
        assert type(name) is type(value) is bytes
        assert name == name.lower()
    for address in (scope["client"], scope["server"]):
        assert address is None or (isinstance(address[0], str) and len(address) == 2)


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    assert scope["type"] == "http", scope["type"]
    request = Request(scope, receive, send)
    path = scope["path"]
    if path.startswith("/greet/"):
        await request.text(f"Hello, {path.removeprefix('/greet/')}!")
    elif path in VIEWS:
        await VIEWS[path](request)
    else:
        await request.text("no such page", status=404)


async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    sys.stderr.write("site: start-up\n")
    scope["state"]["opened"] = "by lifespan"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    sys.stderr.write("site: shutdown\n")
    await send({"type": "lifespan.shutdown.complete"})


async def hello(request):
    await request.text(site.GREETING)


async def inspect(request):
    scope = request.scope
    fields = scope["headers"]
    await request.json(
        {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("ascii"),
            "arguments": request.arguments(),
            "client": scope["client"][0] if scope["client"] else "",
            "scheme": scope["scheme"],
            "host": dict(fields)[b"host"].decode(),
            "tags": b",".join(value for name, value in fields if name == b"x-tag").decode() or None,
        }
    )


async def form(request):
    await request.json(parse_qs((await request.body()).decode("ascii")))


async def json(request):
    await request.json(codec.loads(await request.body()))


async def upload(request):
    await request.json(site.digest([await request.body()]))


async def stream_up(request):
    await request.json(await async_site.digest(request.pieces()))


async def stream_down(request):
    await request.stream(async_site.two_pieces(request.arguments()["gate"][0]))


async def echo(request):
    """Answer each piece of the body as soon as it is there."""
    await request.stream(request.pieces())


async def file(request):
    content = Path(request.arguments()["path"][0]).read_bytes()
    await request.start(200, (b"content-type", b"application/octet-stream"))
    await request.send(content)


async def cookies(request):
    fields = [(b"set-cookie", f"{name}={value}".encode()) for name, value in site.COOKIES]
    await request.text("two cookies", *fields)


async def no_content(request):
    await request.start(204)
    await request.send(b"")


async def meet(request):
    await async_site.meet()
    await request.text("met")


async def error(request):
    raise site.DeliberateError


async def error_midway(request):
    await request.stream(async_site.piece_and_error())


async def state(request):
    await request.json({"opened": request.scope["state"]["opened"]})


async def change_state(request):
    """A request gets a copy: what it puts there, the next one must not see."""
    found = "visitor" in request.scope["state"]
    request.scope["state"]["visitor"] = "was here"
    await request.json({"found": found})


async def leave(request):
    marks = async_site.Marks(request.arguments()["marks"][0])
    await request.body()
    marks.begun()
    await request.disconnect()
    marks.left()


VIEWS = {
    "/hello": hello,
    "/inspect": inspect,
    "/form": form,
    "/json": json,
    "/upload": upload,
    "/stream-up": stream_up,
    "/stream-down": stream_down,
    "/echo": echo,
    "/file": file,
    "/cookies": cookies,
    "/no-content": no_content,
    "/meet": meet,
    "/error": error,
    "/error-midway": error_midway,
    "/leave": leave,
    "/state": state,
    "/change-state": change_state,
}
