"""What the asynchronous sites have in common."""

from __future__ import annotations

import asyncio
import hashlib

from tests.frameworks.apps.site import FIRST, LAST, MEETING_TIMEOUT, DeliberateError, pass_gate

_meeting = asyncio.Barrier(2)


async def meet():
    async with asyncio.timeout(MEETING_TIMEOUT):
        await _meeting.wait()


async def digest(pieces):
    """What to say about a body that comes in pieces."""
    checksum = hashlib.sha256()
    size = 0
    async for piece in pieces:
        checksum.update(piece)
        size += len(piece)
    return {"size": size, "sha256": checksum.hexdigest()}


class Marks:
    """Tells the test through a FIFO of its own how far an answer has come."""

    def __init__(self, path):
        self._path = path

    def _leave(self, mark):
        with open(self._path, "wb", buffering=0) as fifo:
            fifo.write(mark)

    def begun(self):
        self._leave(b"b")

    def left(self):
        self._leave(b"l")


async def wait_to_be_cancelled(path):
    """Work that takes for ever, and notices when it is cancelled."""
    marks = Marks(path)
    marks.begun()
    try:
        await asyncio.sleep(MEETING_TIMEOUT)
    finally:
        marks.left()


async def tick_until_left(path):
    """Pieces for ever; notices when nobody wants one any more."""
    marks = Marks(path)
    marks.begun()
    try:
        while True:
            yield FIRST.encode()
            await asyncio.sleep(0.01)
    finally:
        marks.left()


async def two_pieces(gate):
    yield FIRST.encode()
    await asyncio.to_thread(pass_gate, gate)
    yield LAST.encode()


async def piece_and_error():
    yield FIRST.encode()
    raise DeliberateError
