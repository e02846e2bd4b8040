"""The fields by which proxies tell about their clients, and the names that only look like these."""

from __future__ import annotations

from itertools import product

FOR = b"x-forwarded-for"
PROTO = b"x-forwarded-proto"
HOST = b"x-forwarded-host"
PREFIX = b"x-forwarded-prefix"
FORWARDED = b"forwarded"

FIELDS = (FOR, PROTO, HOST, PREFIX, FORWARDED)


def _twins(name: bytes) -> set[bytes]:
    """Return `name` with any of its hyphens as underscores, but not itself."""
    parts = name.split(b"-")
    return {
        b"".join(bytes(part) for pair in zip(parts, (*marks, b""), strict=True) for part in pair)
        for marks in product((b"-", b"_"), repeat=len(parts) - 1)
    } - {name}


TWINS = frozenset(twin for name in FIELDS for twin in _twins(name))
"""To a framework that makes variables of names, as CGI does, these are the same fields: HTTP_X_FORWARDED_FOR.
A proxy that sets the real one lets them pass, so a client could speak for it. They reach nobody."""

ALL = frozenset(FIELDS) | TWINS
