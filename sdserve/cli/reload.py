"""`sdserve reload TARGET`: have a running instance take up its configuration and code as they are now."""

from __future__ import annotations

import argparse

from sdserve.cli.instance import add_instance, ask
from sdserve.cli.output import complain, write
from sdserve.config.target import target_name
from sdserve.errors import EXIT_FAILURE, EXIT_INTERRUPTED
from sdserve.host.control_client import RefusedError

NAME = "reload"
HELP = "have a running instance take up its configuration and code as they are now"
EXAMPLES = """\
  sdserve reload shop                       wait until all workers run the new code; 1 if it does not start
  sdserve reload shop --timeout 1m          wait no longer; the reload goes on"""

add_arguments = add_instance


def execute(arguments: argparse.Namespace) -> int:
    """Print what came of it, to standard error if the old code serves on."""
    try:
        return write(str(ask(arguments, "Reload").get("message", "")))
    except RefusedError as error:
        complain(error.reason)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        name = target_name(arguments.target)
        complain(f"sdserve: the reload of {name} goes on; `sdserve status {name}` tells how")
        return EXIT_INTERRUPTED
