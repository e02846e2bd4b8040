from __future__ import annotations

import contextlib
import sys
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from tests.frameworks.apps import async_site, site

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def hello(request):
    return PlainTextResponse(site.GREETING)


async def greet(request):
    return PlainTextResponse(f"Hello, {request.path_params['name']}!")


async def inspect(request):
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["path"],
            "query": request.scope["query_string"].decode("ascii"),
            "arguments": {name: request.query_params.getlist(name) for name in request.query_params},
            "client": request.client.host if request.client else "",
            "scheme": request.url.scheme,
            "host": request.headers["host"],
            "tags": ",".join(request.headers.getlist("x-tag")) or None,
        }
    )


async def form(request):
    # Starlette's own form parser is a package of its own.
    return JSONResponse(parse_qs((await request.body()).decode("ascii")))


async def json(request):
    return JSONResponse(await request.json())


async def upload(request):
    return JSONResponse(site.digest([await request.body()]))


async def stream_up(request):
    return JSONResponse(await async_site.digest(request.stream()))


async def stream_down(request):
    return StreamingResponse(async_site.two_pieces(request.query_params["gate"]), media_type="text/plain")


async def file(request):
    return FileResponse(request.query_params["path"], media_type="application/octet-stream")


async def cookies(request):
    response = PlainTextResponse("two cookies")
    for name, value in site.COOKIES:
        response.set_cookie(name, value)
    return response


async def no_content(request):
    return Response(status_code=204)


async def meet(request):
    await async_site.meet()
    return PlainTextResponse("met")


async def error(request):
    raise site.DeliberateError


async def error_midway(request):
    return StreamingResponse(async_site.piece_and_error(), media_type="text/plain")


async def leave(request):
    return StreamingResponse(
        async_site.tick_until_left(request.query_params["marks"]), media_type="text/plain"
    )


async def hinted(request):
    await request.send_early_hints("</style.css>; rel=preload; as=style")
    return PlainTextResponse(site.GREETING)


async def pass_on(request, call_next):
    """Middleware that does nothing, at which disconnects, files and hints have to get past."""
    return await call_next(request)


async def state(request):
    return JSONResponse({"opened": request.state.opened})


@contextlib.asynccontextmanager
async def lifespan(app):
    sys.stderr.write("site: start-up\n")
    yield {"opened": "by lifespan"}
    sys.stderr.write("site: shutdown\n")


app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/greet/{name}", greet),
        Route("/inspect", inspect, methods=METHODS),
        Route("/form", form, methods=["POST"]),
        Route("/json", json, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream-up", stream_up, methods=["POST"]),
        Route("/stream-down", stream_down),
        Route("/file", file),
        Route("/cookies", cookies),
        Route("/no-content", no_content),
        Route("/meet", meet),
        Route("/error", error),
        Route("/error-midway", error_midway),
        Route("/state", state),
        Mount(
            "/behind",
            routes=[Route("/leave", leave), Route("/file", file), Route("/hinted", hinted)],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
        ),
        Route("/leave", leave),
        Route("/hinted", hinted),
    ],
    lifespan=lifespan,
)
