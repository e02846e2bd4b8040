"""Where a task that waits was when it began to, for the log."""

from __future__ import annotations

import asyncio
import os
from typing import Any

_DEEPEST = 100
"""Frames that are looked at: no chain of awaits that a person wrote is longer."""
_SHOWN = 3

_LINKS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
"""Of coroutines, generators and asynchronous generators: the frame, and what it waits for."""


def position(task: asyncio.Task[Any]) -> str:
    """Return the innermost frames of `task`, the last one first: `views.py:12 in show, app.py:3 in call`.

    Task.get_stack has only the outermost one of a task that is suspended, so the chain of awaits is followed
    here. It ends at a future, or at an iterator written in C.
    """
    found: list[str] = []
    awaited: Any = task.get_coro()
    while len(found) < _DEEPEST:
        for frame_name, awaited_name in _LINKS:
            frame = getattr(awaited, frame_name, None)
            if frame is not None:
                code = frame.f_code
                found.append(f"{os.path.basename(code.co_filename)}:{frame.f_lineno} in {code.co_name}")
                awaited = getattr(awaited, awaited_name)
                break
        else:
            break
    return ", ".join(reversed(found[-_SHOWN:])) or "its end"
