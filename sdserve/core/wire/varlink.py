"""Varlink, the side of the server: bytes in, calls out; answers in, bytes out (https://varlink.org).

A message is a JSON object in UTF-8 and a NUL. A connection is a queue: a call is taken only when
the one before has been answered, so that answers come in the order of the calls.

    link.receive_data(data)          whenever `link.wants_data`
    call = link.next_call()          None: more bytes are needed, or an answer
    link.reply({...})                or `link.fail(error, {...})`: the bytes to send, once for each call

Whoever sends what is no call gets no answer: there is no telling where the next message begins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdserve.errors import WireError

MAX_MESSAGE = 64 * 1024
"""Bytes of a call. None of ours takes a hundredth of it."""

_NUL = b"\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method call."""

    method: str
    """With its interface: `org.varlink.service.GetInfo`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    oneway: bool = False
    """The caller wants no answer, not even an error."""
    more: bool = False
    """The caller would take several answers. One is right as well."""
    upgrade: bool = False
    """The caller wants to speak another language after the answer."""


class ServerLink:
    """One connection."""

    __slots__ = ("_buffer", "_call", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._call: Call | None = None

    @property
    def pending(self) -> bytes:
        """What was received and no call has been made of."""
        return bytes(self._buffer)

    def resume(self, call: Call) -> None:
        """Have `call`, which another program has taken from this connection, wait for its answer."""
        self._call = call

    @property
    def is_waiting(self) -> bool:
        """Whether a call has been taken and not been answered."""
        return self._call is not None

    @property
    def wants_data(self) -> bool:
        """Whether there is no whole message left: what comes meanwhile is the kernel's to keep."""
        return self._end() < 0

    def receive_data(self, data: bytes) -> None:
        """Take what the client sent. WireError if a message is longer than `MAX_MESSAGE`."""
        self._buffer += data
        if self._end() < 0 and len(self._buffer) > MAX_MESSAGE:
            raise WireError(f"a message is longer than {MAX_MESSAGE:,} bytes")

    def next_call(self) -> Call | None:
        """The next call, if it is whole and the one before has been answered. WireError if it is none."""
        end = self._end()
        if self._call is not None or end < 0:
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        self._call = _read(message)
        return self._call

    def reply(self, parameters: Mapping[str, Any]) -> bytes:
        """The answer to the call that was taken last: nothing if its caller wants none."""
        return self._answer({"parameters": parameters})

    def fail(self, error: str, parameters: Mapping[str, Any]) -> bytes:
        """As `reply`: it did not work. `error` is named like a method."""
        return self._answer({"error": error, "parameters": parameters})

    def _answer(self, message: Mapping[str, Any]) -> bytes:
        assert self._call is not None, "every call is answered once"
        oneway, self._call = self._call.oneway, None
        return b"" if oneway else encode(message)

    def _end(self) -> int:
        """Where the first message ends; -1 if it has not. No byte is looked at twice."""
        end = self._buffer.find(_NUL, self._searched)
        self._searched = len(self._buffer) if end < 0 else end
        return end


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as it is sent. Text that is no Unicode, as a path may be, is replaced."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + _NUL


def decode(message: bytes) -> dict[str, Any]:
    """The object in a message without its NUL. WireError if there is none."""
    try:
        said = json.loads(message.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message of {len(message)} bytes is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise WireError(f"a message holds {type(said).__name__}, not an object")
    return said


def _read(message: bytes) -> Call:
    said = decode(message)
    method, parameters = said.get("method"), said.get("parameters")
    if not isinstance(method, str):
        raise WireError("a call names no method")
    if parameters is not None and not isinstance(parameters, dict):
        raise WireError(f"the parameters of a call are {type(parameters).__name__}, not an object")
    flags = {flag: said.get(flag) or False for flag in ("oneway", "more", "upgrade")}
    if any(type(value) is not bool for value in flags.values()):
        raise WireError("a flag of a call is neither true nor false")
    if flags["oneway"] and (flags["more"] or flags["upgrade"]):
        raise WireError("a call wants no answer, and wants one")
    return Call(method=method, parameters=parameters or {}, **flags)
