"""What the commands to a running instance have in common: which one, how long to wait, and how to ask."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from sdserve.config import units
from sdserve.config.target import target_name
from sdserve.errors import UsageError
from sdserve.host import control_client


def add_instance(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET and a time-out."""
    parser.add_argument(
        "target", metavar="TARGET", help="what was given to `sdserve run`; only its name matters here"
    )
    add_time_out(parser)


def add_time_out(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take a time-out."""
    parser.add_argument(
        "--timeout", metavar="TIME", help="wait no longer than this for the answer, as 30s or 5m"
    )


def ask(
    arguments: argparse.Namespace, method: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the instance that `arguments` name answers; raises as `control_client.call` does.

    Raises:
        UsageError: TARGET or the time-out cannot be understood.
    """
    return request(arguments, target_name(arguments.target), method, parameters)


def request(
    arguments: argparse.Namespace, name: str, method: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """As `ask`, of the instance `name`; only the time-out is taken from `arguments`."""
    try:
        timeout = None if arguments.timeout is None else units.read_duration(arguments.timeout)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from None
    return control_client.call(name, method, parameters, timeout=timeout)
