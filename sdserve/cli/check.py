"""`sdserve check TARGET`: find everything that is wrong with a configuration, without starting anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sdserve.cli.arguments import add_target, load_target
from sdserve.cli.output import write
from sdserve.config.load import Values
from sdserve.errors import Problem, ReleaseError
from sdserve.host import release

NAME = "check"
HELP = "report everything that is wrong with a configuration"
EXAMPLES = """\
  sdserve check shop                        as `sdserve run shop` would read it
  sdserve check /etc/sdserve/shop.ini"""

add_arguments = add_target


def execute(arguments: argparse.Namespace) -> int:
    """Print one line if all is well; raises ConfigurationError, with all problems, if not."""
    loaded = load_target(arguments, _release_problems)
    files = ", ".join(str(file) for file in loaded.target.files) or "no file"
    return write(f"OK: {loaded.configuration.app.application}, configured by {files}")


def _release_problems(values: Values) -> Iterator[Problem]:
    """Ask for the directory and the virtual environment, each for itself."""
    for option in ("directory", "venv"):
        value = values.get(("app", option))
        if value is None:
            continue
        try:
            release.resolve(**{"directory": "/", "venv": "", option: value.value})
        except ReleaseError as error:
            message = str(error).removeprefix(f"{option}: ")
            yield Problem(value.path, value.lines[0], "app", option, message)
