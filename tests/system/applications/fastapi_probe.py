"""The FastAPI twin of `flask_probe`, with a start-up and a shutdown of its own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    print("the application has started up")
    yield
    print("the application has shut down")


app = FastAPI(default_response_class=PlainTextResponse)
app.router.lifespan_context = lifespan  # FastAPI(lifespan=...) came with 0.93; Debian 12 has 0.92


@app.get("/")
async def index() -> str:
    return "fastapi"


@app.get("/pid")
async def pid() -> str:
    return str(os.getpid())


@app.get("/gate")
def gate() -> str:
    Path("/run/gate").read_text()
    return "through the gate"
