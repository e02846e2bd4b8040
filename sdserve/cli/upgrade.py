"""`sdserve upgrade TARGET`: have a running instance replaced by what is installed now, in place."""

from __future__ import annotations

import argparse

from sdserve.cli.instance import add_time_out, request
from sdserve.cli.output import complain, write
from sdserve.config.target import target_name
from sdserve.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, SdserveError, UsageError
from sdserve.host.control_client import RefusedError
from sdserve.host.control_socket import running

NAME = "upgrade"
HELP = "have a running instance go on as the sdserve and Python that are installed now, without a restart"
EXAMPLES = """\
  sdserve upgrade shop                      wait until all workers are new; 1 if it goes on as it was
  sdserve upgrade --all                     every instance that this user may speak to"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET or --all, and a time-out."""
    parser.add_argument("target", metavar="TARGET", nargs="?", help="what was given to `sdserve run`")
    parser.add_argument(
        "--all", action="store_true", help="all instances that run; it is no error if none does"
    )
    add_time_out(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print what came of it, to standard error where the old sdserve goes on."""
    if arguments.all == (arguments.target is not None):
        raise UsageError("upgrade takes TARGET or --all")
    if not arguments.all:
        return _upgrade(arguments, target_name(arguments.target), "")
    codes = [_upgrade(arguments, name, f"{name}: ") for name in running()]
    return next((code for code in codes if code != EXIT_OK), EXIT_OK)


def _upgrade(arguments: argparse.Namespace, name: str, prefix: str) -> int:
    try:
        answer = request(arguments, name, "Upgrade")
    except RefusedError as error:
        complain(f"{prefix}{error.reason}")
        return EXIT_FAILURE
    except SdserveError as error:
        if not arguments.all:
            raise
        complain(f"sdserve: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        complain(f"sdserve: the upgrade of {name} goes on; `sdserve status {name}` tells how")
        return EXIT_INTERRUPTED
    return write(f"{prefix}{answer.get('message', '')}")
