"""This very program: how to start it once more, and which one it is.

Its files may be replaced while it runs, by a package manager or by a link that moves on. Who starts it once
more, in the same way, gets what is there then.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import sdserve


def command(orig_argv: Sequence[str] | None = None, argv: Sequence[str] | None = None) -> tuple[str, ...]:
    """What to execute to start this program once more, without its arguments.

    A script with an interpreter line is executed itself, for another version may name another interpreter;
    what was started as `python -m sdserve` is started so again. Paths are made absolute, so ask before
    changing the directory. By default for this process: `sys.orig_argv` and `sys.argv`.
    """
    original = list(sys.orig_argv if orig_argv is None else orig_argv)
    arguments = (sys.argv if argv is None else argv)[1:]
    start = original[: len(original) - len(arguments)]
    if len(start) == 2 and _is_script(start[1]):
        return (os.path.abspath(start[1]),)
    if len(start) > 1 and "-m" not in start[-2:]:
        start[-1] = os.path.abspath(start[-1])
    return (sys.executable, *start[1:])


def identity() -> str:
    """Another text if sdserve's files or the interpreter are others; the same whenever they are the same.

    Size and time of each of its files stand for its content.
    """
    root = Path(sdserve.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        status = path.stat()
        digest.update(f"{path.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    python = f"{os.path.realpath(sys.executable)} {' '.join(sys.version.split())}"
    return f"{sdserve.__version__} {root.resolve()} {digest.hexdigest()} {python}"


def description() -> str:
    """The version of sdserve and of the interpreter, for people."""
    return f"sdserve {sdserve.__version__} on Python {platform.python_version()}"


def _is_script(path: str) -> bool:
    """Whether the kernel can execute it by its first line, execve(2)."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!" and os.access(path, os.X_OK)
    except OSError:
        return False
