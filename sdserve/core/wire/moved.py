"""A connection on its way from one worker to another, as a packet beside its descriptor.

    {"requests": 3, "deadline": 5123.25, "listener": "http"}\\n and then the bytes that were read and not used

JSON for what may grow, as in `codec`: unknown keys are dropped, missing ones take their default. The client's
and our own address are not in it: the socket knows them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, TypeVar

from sdserve.core.proxy.header import Endpoint, ProxyHeader
from sdserve.errors import WireError

T = TypeVar("T")

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
    tls: bool = False
    """It has to begin with TLS: nothing has come on it yet."""
    pending: bytes = b""
    """Read from the socket, and no request has used it yet."""
    header: ProxyHeader | None = None
    """The PROXY header with which it began."""


def encode_moved(moved: Moved) -> bytes:
    """Return the packet; `pending` has at most `MAX_PENDING` bytes."""
    # What not every connection has is left out where it has its default, as by versions that do not know it.
    facts = b'"requests":%d,"deadline":%.3f' % (moved.requests, moved.deadline)
    if moved.listener:
        facts += b',"listener":' + json.dumps(moved.listener).encode("ascii")
    if moved.tls:
        facts += b',"tls":true'
    if moved.header is not None:
        facts += b',"header":' + json.dumps(asdict(moved.header)).encode("ascii")
    return b"{%b}\n%b" % (facts, moved.pending)


def decode_moved(packet: bytes) -> Moved:
    """Return what the packet says. WireError if it makes no sense."""
    head, _, pending = packet.partition(b"\n")
    try:
        said = json.loads(head)
        listener = said.get("listener", "")
        requests = said.get("requests", 0)
        deadline = said.get("deadline", 0.0)
        tls = said.get("tls", False)
        header = said.get("header")
    except (ValueError, AttributeError, RecursionError):
        raise WireError("a connection came with facts that cannot be read") from None
    is_time = type(deadline) in (int, float) and isfinite(deadline)
    if type(listener) is not str or type(requests) is not int or type(tls) is not bool or not is_time:
        raise WireError("a connection came with facts of the wrong type")
    return Moved(
        listener=listener,
        requests=requests,
        deadline=float(deadline),
        tls=tls,
        pending=pending,
        header=None if header is None else _read_header(header),
    )


def _read_header(said: Any) -> ProxyHeader:
    try:
        return ProxyHeader(
            relayed=_typed(said.get("relayed", False), bool),
            source=_read_endpoint(said.get("source")),
            destination=_read_endpoint(said.get("destination")),
            tls=_typed(said.get("tls", False), bool),
        )
    except (AttributeError, TypeError, ValueError):
        raise WireError("a connection came with a PROXY header that cannot be read") from None


def _read_endpoint(said: Any) -> Endpoint | None:
    if said is None:
        return None
    host, port = said
    return _typed(host, str), _typed(port, int)


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(value)
    return value
