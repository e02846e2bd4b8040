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


async def two_pieces(gate):
    yield FIRST.encode()
    await asyncio.to_thread(pass_gate, gate)
    yield LAST.encode()


async def piece_and_error():
    yield FIRST.encode()
    raise DeliberateError
