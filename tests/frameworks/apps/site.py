"""What the sites have in common: the parts that no framework has an opinion on."""

from __future__ import annotations

import hashlib
import threading

FIRST = "first\n"
LAST = "last\n"
GREETING = "Hello, world!"
MEETING_TIMEOUT = 10.0
COOKIES = (("flavour", "vanilla"), ("topping", "cherry"))

meeting = threading.Barrier(2)


class DeliberateError(Exception):
    """Raised by the sites where a test asks for it."""

    def __init__(self):
        super().__init__("as asked for")


def pass_gate(path):
    """Block until the test has opened the gate, a FIFO of its own."""
    with open(path, "rb", buffering=0) as gate:
        gate.read(1)


def digest(pieces):
    """What to say about a body that came in pieces."""
    checksum = hashlib.sha256()
    size = 0
    for piece in pieces:
        checksum.update(piece)
        size += len(piece)
    return {"size": size, "sha256": checksum.hexdigest()}


def two_pieces(gate):
    yield FIRST.encode()
    pass_gate(gate)
    yield LAST.encode()


def piece_and_error():
    yield FIRST.encode()
    raise DeliberateError
