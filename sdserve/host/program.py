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
from contextlib import suppress
from pathlib import Path

import sdserve

_LONGEST_LINE = 4096
"""Bytes of an interpreter line that are looked at; the kernel takes 256."""


def command(orig_argv: Sequence[str] | None = None, argv: Sequence[str] | None = None) -> tuple[str, ...]:
    """What to execute to start this program once more, without its arguments.

    A script that the kernel started by its interpreter line is executed itself, for another version may name
    another interpreter; what was started as `python -m sdserve` is started so again. Paths are made absolute,
    so ask before changing the directory. By default for this process: `sys.orig_argv` and `sys.argv`.
    """
    original = list(sys.orig_argv if orig_argv is None else orig_argv)
    script, *arguments = sys.argv if argv is None else argv
    _, *options = original[: len(original) - len(arguments)]
    if options and options[-1] == script:  # that of `python -m` is a path, and not among its options
        script = options[-1] = os.path.abspath(script)
        if _interprets(script, options[:-1]):
            return (script,)
    return (sys.executable, *options)


def identity() -> str:
    """Another text if sdserve's files or the interpreter are others; the same whenever they are the same.

    Size and time of each of its files stand for its content.
    """
    root = Path(sdserve.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        with suppress(FileNotFoundError):  # whoever replaces them is at it
            status = path.stat()
            digest.update(f"{path.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    python = f"{os.path.realpath(sys.executable)} {' '.join(sys.version.split())}"
    return f"{sdserve.__version__} {root.resolve()} {digest.hexdigest()} {python}"


def description() -> str:
    """The version of sdserve and of the interpreter, for people."""
    return f"sdserve {sdserve.__version__} on Python {platform.python_version()}"


def _interprets(script: str, options: Sequence[str]) -> bool:
    """Whether the kernel would execute `script` by its first line, execve(2), with these `options`."""
    try:
        with open(script, "rb") as file:
            line = os.fsdecode(file.readline(_LONGEST_LINE))
    except OSError:
        return False
    words = line.split()
    given = words[len(words) - len(options) :]
    return line.startswith("#!") and given == list(options) and os.access(script, os.X_OK)
