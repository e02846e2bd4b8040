"""A small FastAPI application: a greeting, a guest book kept in memory by each worker, a streamed answer."""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()
guests: list[str] = []


class Guest(BaseModel):
    name: str


@app.get("/")
async def index() -> dict[str, str | int]:
    return {"hello": "from FastAPI", "worker": os.environ.get("SDSERVE_SLOT", "?"), "process": os.getpid()}


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    return {"greeting": f"Hello, {name}!"}


@app.post("/guests", status_code=201)
async def sign(guest: Guest) -> dict[str, list[str]]:
    guests.append(guest.name)
    return {"guests": guests}


@app.get("/countdown")
async def countdown(start: int = 3) -> StreamingResponse:
    async def numbers() -> AsyncIterator[str]:
        for number in range(start, 0, -1):
            yield f"{number}\n"
            await asyncio.sleep(0.2)
        yield "lift-off\n"

    return StreamingResponse(numbers(), media_type="text/plain")
