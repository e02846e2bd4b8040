"""`sdserve scale TARGET N`: change the number of workers of a running instance."""

from __future__ import annotations

import argparse

from sdserve.cli.instance import add_instance, ask
from sdserve.cli.output import complain
from sdserve.core.fleet.options import MOST_WORKERS
from sdserve.errors import EXIT_FAILURE, EXIT_OK, UsageError
from sdserve.host.control_client import RefusedError

NAME = "scale"
HELP = "change the number of workers of a running instance, until its next reload"
EXAMPLES = """\
  sdserve scale shop 8                      wait until 8 workers are ready"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET and N."""
    add_instance(parser)
    parser.add_argument("count", metavar="N", help=f"worker processes, 1 to {MOST_WORKERS}")


def execute(arguments: argparse.Namespace) -> int:
    """Return when it has that many workers."""
    text = arguments.count
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= MOST_WORKERS:
        raise UsageError(f"N is a number from 1 to {MOST_WORKERS}, not {text!r}")
    try:
        ask(arguments, "Scale", {"count": int(text)})
    except RefusedError as error:
        complain(error.reason)
        return EXIT_FAILURE
    return EXIT_OK
