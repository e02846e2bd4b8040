"""XOR of a payload with its masking key (RFC 6455 section 5.3): the one step that has to be in C.

The C extension of the websockets library takes 2 µs for 64 KiB; in Python, by integers or tables, it is 200.
Its name and signature are the same from version 10, which Debian 12 has, to 17. Where it was built without
the extension, as in Debian 12, or is not there, as in a virtual environment with the package alone, integers
have to do.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:

    def apply_mask(data: bytes | bytearray | memoryview, mask: bytes | bytearray) -> bytes:
        """Return the XOR of `data` and of `mask`, four bytes, over and over."""
        size = len(data)
        repeated = (bytes(mask) * (size // len(mask) + 1))[:size]
        return (int.from_bytes(data) ^ int.from_bytes(repeated)).to_bytes(size)


__all__ = ["apply_mask"]
