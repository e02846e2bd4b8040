"""The language between sdserve's own processes: `encode(message) -> bytes`, `decode(bytes) -> Message`."""

from sdserve.core.wire.codec import MAX_PACKET, decode, encode
from sdserve.core.wire.messages import (
    MOST_CHANGED,
    PROTOCOL,
    BootFailed,
    Drain,
    Forked,
    ForkRefused,
    ForkWorker,
    Message,
    Open,
    Opened,
    OpenFailed,
    Prepare,
    Prepared,
    PrepareRefused,
    Ready,
    RecycleAsked,
)

__all__ = [
    "MAX_PACKET",
    "MOST_CHANGED",
    "PROTOCOL",
    "BootFailed",
    "Drain",
    "ForkRefused",
    "ForkWorker",
    "Forked",
    "Message",
    "Open",
    "OpenFailed",
    "Opened",
    "Prepare",
    "PrepareRefused",
    "Prepared",
    "Ready",
    "RecycleAsked",
    "decode",
    "encode",
]
