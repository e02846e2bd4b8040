"""The command `sdserve`: finds the command's function, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import platform
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from sdserve import __version__
from sdserve.cli import apply, check, init, reload, run, scale, show, status, upgrade
from sdserve.cli.output import complain
from sdserve.config.nearest import suggestion
from sdserve.errors import EXIT_INTERRUPTED, ConfigurationError, SdserveError, UsageError
from sdserve.host.fds import open_standard_descriptors

COMMANDS: dict[str, ModuleType] = {
    command.NAME: command for command in (run, init, check, show, status, reload, upgrade, scale, apply)
}

_EPILOG = """\
TARGET is the name of an instance (NAME of /etc/sdserve/NAME.ini), the path of an INI file (with a slash,
or .ini at its end), or module:attribute.

exit codes:
  0  success                          70  our own processes do not understand each other
  1  failure                          71  an address cannot be bound
  2  wrong command line               77  the instance may not be spoken to by this user
  3  the application does not start   78  wrong configuration
 69  the instance does not run, or does not answer"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (by default that of the process) names; return the exit code."""
    open_standard_descriptors()
    try:
        return _execute(sys.argv[1:] if argv is None else argv)
    except ConfigurationError as error:
        complain(str(error))  # lines that start with file:line, as editors like them
        return error.exit_code
    except SdserveError as error:
        complain(f"sdserve: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _execute(argv: Sequence[str]) -> int:
    parser, commands = parsers()
    word = argv[0] if argv else ""
    if word and not word.startswith("-") and word not in COMMANDS:
        raise UsageError(f"unknown command {word}{suggestion(word, COMMANDS, listing='the commands are')}")
    try:
        arguments, rest = parser.parse_known_args(argv)
    except SystemExit as done:  # after --help and --version
        return int(done.code or 0)
    if rest:
        known = re.findall(r"--[a-z-]+", commands[arguments.command].format_help())
        raise UsageError(f"unknown argument {rest[0]}{suggestion(rest[0], known)}")
    code: int = COMMANDS[arguments.command].execute(arguments)
    return code


class _Parser(argparse.ArgumentParser):
    """Raises our own error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def parsers() -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser, and those of the commands by name."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="sdserve",
        description="A systemd-integrated application server for WSGI and ASGI.",
        epilog=_EPILOG,
        formatter_class=layout,
        allow_abbrev=False,
    )
    version = f"sdserve {__version__} (Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands = {}
    for name, command in COMMANDS.items():
        commands[name] = subparsers.add_parser(
            name,
            help=command.HELP,
            description=f"{command.HELP[0].upper()}{command.HELP[1:]}.",
            epilog=f"examples:\n{command.EXAMPLES}",
            formatter_class=layout,
            allow_abbrev=False,
        )
        command.add_arguments(commands[name])
    return parser, commands
