"""What the commands have in common: TARGET, and the options that set an option of its file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from sdserve.config.ini import Line, Section, Setting
from sdserve.config.load import Inspection, Loaded, load
from sdserve.config.target import DIRECTORY, find_target
from sdserve.config.values import Source
from sdserve.errors import SdserveError, UsageError

DIRECTORY_VARIABLE = "SDSERVE_CONFIG_DIR"
"""Environment variable: the directory to take in place of /etc/sdserve."""

_SHORTCUTS = (
    ("workers", "workers.count", "N", "worker processes, a number or auto"),
    ("threads", "workers.threads", "N", "requests that one worker runs at the same time (WSGI)"),
    ("interface", "app.interface", "X", "what the application speaks: auto, wsgi or asgi"),
)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET and what may be set on the command line."""
    parser.add_argument(
        "target", metavar="TARGET", help="instance name, path of an INI file, or module:attribute"
    )
    parser.add_argument(
        "--bind",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="listen here, and nowhere else: HOST:PORT, [IPV6]:PORT or unix:/path (repeatable)",
    )
    for name, full_name, metavar, text in _SHORTCUTS:
        parser.add_argument(f"--{name}", metavar=metavar, help=f"{text} ({full_name})")
    parser.add_argument(
        "--set",
        metavar="SECTION.OPTION=VALUE",
        action="append",
        default=[],
        help="set any option of the configuration file (repeatable)",
    )


def load_target(arguments: argparse.Namespace, inspect: Inspection = lambda _: ()) -> Loaded:
    """Load what `arguments` name; `inspect` may find more that is wrong with it.

    Raises:
        SdserveError: the working directory has been deleted.
        UsageError: `--set` or TARGET cannot be understood.
        ConfigurationError: with everything that is wrong.
    """
    here = _working_directory()
    return load(
        find_target(arguments.target, configuration_directory()), list(_sources(arguments, here)), inspect
    )


def configuration_directory(*, is_user: bool = False) -> Path:
    """Return where the files of instances are: of this machine's, or of this user's own."""
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given or not is_user:
        return Path(given or DIRECTORY)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "sdserve")


def _working_directory() -> str:
    """Ask for it before anybody else does: relative paths start at it, and so does the import path."""
    try:
        return os.getcwd()
    except OSError as error:
        raise SdserveError(
            f"the working directory cannot be used: {error.strerror}; "
            "change to one that exists, or to this one again if it was replaced"
        ) from None


def _sources(arguments: argparse.Namespace, here: str) -> Iterator[Source]:
    if arguments.bind:
        lines = [Line(0, text) for text in arguments.bind]
        section = Section("listen:http", 0, [Setting("address", 0, lines)])
        yield Source("--bind", here, (section,), replaces_listeners=True)
    for name, full_name, _, _ in _SHORTCUTS:
        text = getattr(arguments, name)
        if text is not None:
            yield Source(f"--{name}", here, (_section(full_name, text),))
    for assignment in arguments.set:
        full_name, equals, text = assignment.partition("=")
        if not equals or "." not in full_name:
            raise UsageError(f"--set {assignment}: write SECTION.OPTION=VALUE, as in --set workers.count=2")
        yield Source("--set", here, (_section(full_name, text),))


def _section(full_name: str, text: str) -> Section:
    # A listener's name may have dots, an option's never has.
    section, _, option = full_name.rpartition(".")
    lines = [Line(0, text)] if text else []  # no value: the default, as in a file
    return Section(section, 0, [Setting(option, 0, lines)])
