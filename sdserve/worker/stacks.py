"""Where a thread is, for the log."""

from __future__ import annotations

import sys
from types import FrameType

_SHOWN = 40
"""Frames: the innermost ones, where it stands still."""


def stack_of(thread: int | None) -> str:
    """Return the stack of the thread with this `threading.get_ident`, the innermost frame last.

    Without lines of source code: to read them, files would have to be opened on a loop's thread.
    """
    frame: FrameType | None = sys._current_frames().get(thread) if thread is not None else None
    lines: list[str] = []
    while frame is not None and len(lines) < _SHOWN:
        code = frame.f_code
        lines.append(f'File "{code.co_filename}", line {frame.f_lineno}, in {code.co_qualname}')
        frame = frame.f_back
    return "\n".join(reversed(lines)) or "its end"
