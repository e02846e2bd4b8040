"""The files of imported modules, and which of them are too new."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType

_LONGEST = 500
"""Characters kept of a path's end."""


def newer_than(since_ns: int, *, most: int) -> tuple[str, ...]:
    """Files of modules that were changed after `since_ns` (nanoseconds since the epoch): `most` of them.

    Who imports later than others of its generation may have got newer code than they.
    """
    found = [path[-_LONGEST:] for path in _files() if (state := _state(path)) and state[0] > since_ns]
    return tuple(sorted(found)[:most])


class ModuleFiles:
    """The files of imported modules as they were when they were first looked at."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int, int]] = {}

    def changed(self) -> set[str]:
        """Those that are others now; not those that are gone, as with an old release. May block."""
        found = set()
        for path in _files():
            state = _state(path)
            if state is not None and self._seen.setdefault(path, state) != state:
                found.add(path[-_LONGEST:])
        return found


def _files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):  # cffi has objects that claim to be modules
            # Not by getattr, which would run code of modules that are loaded lazily.
            path = ModuleType.__getattribute__(module, "__dict__").get("__file__")
            if isinstance(path, str):
                yield path


def _state(path: str) -> tuple[int, int, int] | None:
    """What tells a file from another one in its place: also a copy that keeps its times is another inode."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
