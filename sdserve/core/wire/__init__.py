"""The language between sdserve's own processes: `encode(message) -> bytes`, `decode(bytes) -> Message`."""

from sdserve.core.wire.codec import MAX_PACKET, decode, encode
from sdserve.core.wire.messages import (
    MOST_CHANGED,
    PROTOCOL,
    BootFailed,
    Certificates,
    Drain,
    Forked,
    ForkRefused,
    ForkWorker,
    Message,
    Open,
    Opened,
    OpenFailed,
    Ready,
    RecycleAsked,
)

__all__ = [
    "MAX_PACKET",
    "MOST_CHANGED",
    "PROTOCOL",
    "BootFailed",
    "Certificates",
    "Drain",
    "ForkRefused",
    "ForkWorker",
    "Forked",
    "Message",
    "Open",
    "OpenFailed",
    "Opened",
    "Ready",
    "RecycleAsked",
    "decode",
    "encode",
]
