from __future__ import annotations

import asyncio
import contextlib
import sys
from urllib.parse import parse_qs

from fastapi import Body, FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from tests.frameworks.apps import async_site, site

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@contextlib.asynccontextmanager
async def lifespan(app):
    sys.stderr.write("site: start-up\n")
    yield {"opened": "by lifespan"}
    sys.stderr.write("site: shutdown\n")


app = FastAPI(lifespan=lifespan)


@app.api_route("/hello", methods=["GET", "HEAD"], response_class=PlainTextResponse)
async def hello():
    return site.GREETING


@app.get("/greet/{name}", response_class=PlainTextResponse)
async def greet(name: str):
    return f"Hello, {name}!"


@app.api_route("/inspect", methods=METHODS)
async def inspect(request: Request):
    return {
        "method": request.method,
        "path": request.scope["path"],
        "query": request.scope["query_string"].decode("ascii"),
        "arguments": {name: request.query_params.getlist(name) for name in request.query_params},
        "client": request.client.host if request.client else "",
        "scheme": request.url.scheme,
        "host": request.headers["host"],
        "tags": ",".join(request.headers.getlist("x-tag")) or None,
    }


@app.post("/form")
async def form(request: Request):
    # FastAPI's own form parser is a package of its own.
    return parse_qs((await request.body()).decode("ascii"))


@app.post("/json")
def json(document: dict = Body()):  # noqa: B008 - FastAPI's way; `def`: called on a thread
    return document


@app.post("/upload")
async def upload(request: Request):
    return site.digest([await request.body()])


@app.post("/stream-up")
async def stream_up(request: Request):
    return await async_site.digest(request.stream())


@app.get("/stream-down")
async def stream_down(gate: str):
    return StreamingResponse(async_site.two_pieces(gate), media_type="text/plain")


@app.get("/file")
async def file(path: str):
    return FileResponse(path, media_type="application/octet-stream")


@app.get("/cookies", response_class=PlainTextResponse)
async def cookies(response: Response):
    for name, value in site.COOKIES:
        response.set_cookie(name, value)
    return "two cookies"


@app.get("/no-content", status_code=204)
async def no_content():
    return None


@app.get("/meet", response_class=PlainTextResponse)
async def meet():
    await async_site.meet()
    return "met"


@app.get("/error")
async def error():
    raise site.DeliberateError


@app.get("/error-midway")
async def error_midway():
    return StreamingResponse(async_site.piece_and_error(), media_type="text/plain")


@app.get("/leave")
async def leave(request: Request, marks: str):
    told = async_site.Marks(marks)
    told.begun()
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    told.left()


@app.get("/state")
async def state(request: Request):
    return {"opened": request.state.opened}
