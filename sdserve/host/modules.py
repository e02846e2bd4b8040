"""The files of imported modules, and which of them are too new."""

from __future__ import annotations

import os
import sys

_LONGEST = 500
"""Characters kept of a path's end."""


def newer_than(since_ns: int, *, most: int) -> tuple[str, ...]:
    """Files of modules that were changed after `since_ns` (nanoseconds since the epoch): `most` of them.

    Who imports later than others of its generation may have got newer code than they.
    """
    found: list[str] = []
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and _changed_ns(path) > since_ns:
            found.append(path[-_LONGEST:])
    return tuple(sorted(found)[:most])


def _changed_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
