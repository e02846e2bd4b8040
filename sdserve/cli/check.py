"""`sdserve check TARGET`: find everything that is wrong with a configuration, without starting anything."""

from __future__ import annotations

import argparse

from sdserve.cli.arguments import add_target, load_target
from sdserve.cli.output import write
from sdserve.config.load import Loaded
from sdserve.errors import ConfigurationError, Problem, ReleaseError
from sdserve.host import release

NAME = "check"
HELP = "report everything that is wrong with a configuration"
EXAMPLES = """\
  sdserve check shop                        as `sdserve run shop` would read it
  sdserve check /etc/sdserve/shop.ini"""

add_arguments = add_target


def execute(arguments: argparse.Namespace) -> int:
    """Print one line if all is well; raises ConfigurationError, with all problems, if not."""
    loaded = load_target(arguments)
    problems = [*_release_problems(loaded)]
    if problems:
        raise ConfigurationError(problems)
    files = ", ".join(str(file) for file in loaded.target.files) or "no file"
    return write(f"OK: {loaded.configuration.app.application}, configured by {files}")


def _release_problems(loaded: Loaded) -> list[Problem]:
    """Ask for the directory and the virtual environment, each for itself."""
    app = loaded.configuration.app
    problems = []
    for option, places in (("directory", (app.directory, "")), ("venv", ("", app.venv))):
        try:
            release.resolve(*places)
        except ReleaseError as error:
            value = loaded.values["app", option]
            message = str(error).removeprefix(f"{option}: ")
            problems.append(Problem(value.path, value.lines[0], "app", option, message))
    return problems
