"""A connection on its way from one worker to another, as a packet beside its descriptor.

    {"listener": "http", "requests": 3, "deadline": 5123.25}\\n and then the bytes that were read and not used

JSON for what may grow, as in `codec`: unknown keys are dropped, missing ones take their default. The client's
and our own address are not in it: the socket knows them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite

from sdserve.errors import WireError

MAX_PENDING = 96 * 1024
"""Bytes that may go along: with its overhead in the kernel the packet must fit the mailbox's send buffer."""
MAX_MOVED = MAX_PENDING + 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What is known about a connection between two requests."""

    listener: str = ""
    """The name of the `[listen:NAME]` section by which it came."""
    requests: int = 0
    """That were begun on it."""
    deadline: float = 0.0
    """For the next head: seconds of CLOCK_MONOTONIC, which all processes of a machine share."""
    pending: bytes = b""
    """Read from the socket, and no request has used it yet."""


def encode_moved(moved: Moved) -> bytes:
    """Return the packet; `pending` has at most `MAX_PENDING` bytes."""
    facts = {"listener": moved.listener, "requests": moved.requests, "deadline": round(moved.deadline, 3)}
    return json.dumps(facts).encode("ascii") + b"\n" + moved.pending


def decode_moved(packet: bytes) -> Moved:
    """Return what the packet says. WireError if it makes no sense."""
    head, _, pending = packet.partition(b"\n")
    try:
        said = json.loads(head)
        listener = said.get("listener", "")
        requests = said.get("requests", 0)
        deadline = said.get("deadline", 0.0)
    except (ValueError, AttributeError, RecursionError):
        raise WireError("a connection came with facts that cannot be read") from None
    is_time = type(deadline) in (int, float) and isfinite(deadline)
    if type(listener) is not str or type(requests) is not int or not is_time:
        raise WireError("a connection came with facts of the wrong type")
    return Moved(listener=listener, requests=requests, deadline=float(deadline), pending=pending)
