"""XOR of a payload with its masking key (RFC 6455 section 5.3): the one step that has to be in C.

The C extension of the websockets library takes 2 µs for 64 KiB; in Python, by integers or tables, it is 200.
Its name and signature are the same from version 10, which Debian 12 has, to 17. Where it was built without
the extension, as in Debian 12, its own Python takes its place.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

__all__ = ["apply_mask"]
