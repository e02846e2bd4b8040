"""Which files make an instance: what `target` and the generator have to agree about.

Imports next to nothing, because the generator does.
"""

from __future__ import annotations

import os

DIRECTORY = "/etc/sdserve"
SHARED = "sdserve.ini"
"""Defaults of all instances, in the configuration directory."""


def drop_ins(path: str) -> list[str]:
    """Return the drop-ins of the file `path`, by name; hidden files are left out, as editors keep theirs so.

    OSError if their directory is there and cannot be read.
    """
    directory = f"{path}.d"
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    return [f"{directory}/{name}" for name in names if name.endswith(".conf") and not name.startswith(".")]
