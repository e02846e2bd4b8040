"""Messages as bytes: one JSON object a packet, `{"kind": "Forked", "generation": 1, ...}`.

JSON, because a person reads it with strace, because the two ends may be different versions of
sdserve on different versions of Python, and because it happens a few times per worker's life.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

from sdserve.core.wire.messages import BootFailed, Message, OpenFailed, PrepareRefused, RecycleAsked
from sdserve.errors import WireError

MAX_PACKET = 192 * 1024
"""Bytes. Below Linux's default send buffer (net.core.wmem_default, 212,992), which limits a packet."""
MAX_REASON = 2_000
"""Characters kept of a reason's beginning; JSON may take 12 bytes for one."""
MAX_TRACEBACK = 12_000
"""Characters kept of a traceback's end, where the cause is."""

KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """The packet that says `message`; reasons and tracebacks are shortened to fit.

    Raises WireError for a message that fits no packet, as an Open with an enormous configuration.
    """
    said: dict[str, Any] = {field.name: getattr(message, field.name) for field in fields(message)}
    if isinstance(message, (OpenFailed, BootFailed, RecycleAsked, PrepareRefused)):
        said["reason"] = message.reason[:MAX_REASON]
    if isinstance(message, OpenFailed):
        said["traceback"] = message.traceback[-MAX_TRACEBACK:]
    packet = json.dumps({"kind": type(message).__name__, **said}, separators=(",", ":")).encode("ascii")
    if len(packet) > MAX_PACKET:
        raise WireError(
            f"{type(message).__name__} takes {len(packet):,} bytes, more than the {MAX_PACKET:,} of a packet"
        )
    return packet


def decode(packet: bytes) -> Message:
    """The message in `packet`: unknown keys are dropped, missing ones take their default.

    Raises WireError for what is not JSON, for an unknown kind, and for a value of the wrong type.
    """
    try:
        said = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a packet of {len(packet)} bytes is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise WireError(f"a packet holds {type(said).__name__}, not an object")
    kind = said.get("kind")
    shape = KINDS.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise WireError(f"a packet of unknown kind {kind!r}")
    values = {}
    for field in fields(shape):
        if field.name in said:
            try:
                values[field.name] = _READERS[str(field.type)](said[field.name])
            except TypeError as error:
                raise WireError(f"{kind}.{field.name}: {error}") from None
    return shape(**values)


def _integer(value: object) -> int:
    if type(value) is not int:  # bool is an int, and is not meant here
        raise TypeError(f"expected an integer, got {value!r:.80}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r:.80}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r:.80}")
    return tuple(_text(item) for item in value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r:.80}")
    return value


_READERS: dict[str, Callable[[object], Any]] = {
    "int": _integer,
    "str": _text,
    "tuple[str, ...]": _texts,
    "Mapping[str, Any]": _object,
}
"""Keyed by the annotation of a message's field, as it is written in `messages`."""
