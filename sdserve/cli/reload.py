"""`sdserve reload TARGET`: have a running instance take up its configuration and code as they are now."""

from __future__ import annotations

import argparse

from sdserve.cli.instance import add_instance, ask
from sdserve.cli.output import complain, write
from sdserve.config.target import target_name
from sdserve.errors import EXIT_FAILURE, EXIT_INTERRUPTED
from sdserve.host.control_client import RefusedError

NAME = "reload"
HELP = "have a running instance take up its configuration and code, or its certificates, as they are now"
EXAMPLES = """\
  sdserve reload shop                       wait until all workers run the new code; 1 if it does not start
  sdserve reload shop --timeout 1m          wait no longer; the reload goes on
  sdserve reload shop --certificates        read only certificates and keys again; no worker is replaced"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET and what is to be reloaded."""
    add_instance(parser)
    parser.add_argument(
        "--certificates",
        action="store_true",
        help="read only the files of certificates and keys again; 1 if they cannot be used",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print what came of it, to standard error if the old code serves on."""
    try:
        method = "ReloadCertificates" if arguments.certificates else "Reload"
        return write(str(ask(arguments, method).get("message", "")))
    except RefusedError as error:
        complain(error.reason)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        name = target_name(arguments.target)
        complain(f"sdserve: the reload of {name} goes on; `sdserve status {name}` tells how")
        return EXIT_INTERRUPTED
