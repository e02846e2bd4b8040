"""Hello with FastAPI: how much of a server's advantage is left under a real framework."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI(openapi_url=None)


@app.get("/", response_class=PlainTextResponse)
async def hello():
    return "Hello, world!"
