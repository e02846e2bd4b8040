"""`sdserve init NAME`: write the INI of a new instance, and check it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from sdserve.cli.arguments import configuration_directory
from sdserve.cli.check import problems
from sdserve.cli.output import complain, write
from sdserve.config import example, kinds
from sdserve.config.addresses import read_address
from sdserve.config.load import load
from sdserve.config.target import SHARED, find_target, is_instance
from sdserve.errors import ConfigurationError, SdserveError, UsageError
from sdserve.host import accounts
from sdserve.host.systemctl import Systemctl

NAME = "init"
HELP = "write the configuration of a new instance"
EXAMPLES = """\
  sdserve init shop --app shop.wsgi:application --listen 8000 --directory /srv/shop
  sdserve init shop --app shop:app --listen /run/sdserve/shop.sock --directory /srv/shop --proxy-user www-data
  sdserve init hello --app hello:app --directory . --user    for your own service manager"""

_PROXY_GROUPS = ("www-data", "nginx", "caddy", "haproxy")
"""Those of the usual proxies, as distributions name them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take what goes into the file."""
    parser.add_argument("name", metavar="NAME", help="of the instance: letters, digits, '_', '.', '-'")
    parser.add_argument("--app", metavar="MODULE:ATTRIBUTE", required=True, help="the application")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        action="append",
        help="PORT (of 127.0.0.1), HOST:PORT, [IPV6]:PORT or /path (repeatable; 127.0.0.1:8000)",
    )
    parser.add_argument("--directory", metavar="PATH", default=".", help="the application's (this one)")
    parser.add_argument(
        "--venv", metavar="PATH", help="its virtual environment (DIRECTORY/.venv, if it is there)"
    )
    parser.add_argument("--proxy-user", metavar="USER", help="who connects to a unix socket, as www-data")
    parser.add_argument("--user", action="store_true", help="for this user's service manager")


def execute(arguments: argparse.Namespace) -> int:
    """Write the file, check it, tell what comes next. 78 if it is not right yet; it stays, to be edited."""
    name = arguments.name
    if not is_instance(name) or f"{name}.ini" == SHARED:
        raise UsageError(f"{name!r} cannot be the name of an instance (letters, digits, '_', '.', '-')")
    systemctl = Systemctl(is_user=arguments.user)
    directory = configuration_directory(is_user=arguments.user)
    path = directory / f"{name}.ini"
    wishes = _wishes(arguments, path)
    _write(path, example.text(wishes))
    try:
        load(find_target(name, directory), inspect=problems)
    except ConfigurationError as error:
        complain(f"{path} is written, and not right yet:\n{error}")
        return error.exit_code
    return write("\n".join(_next(wishes, path, systemctl)))


def _wishes(arguments: argparse.Namespace, path: Path) -> example.Wishes:
    directory = os.path.abspath(arguments.directory)
    venv = arguments.venv and os.path.abspath(arguments.venv)
    if venv is None:
        own = os.path.join(directory, ".venv")
        venv = own if os.path.exists(os.path.join(own, "pyvenv.cfg")) else ""
    try:
        application = kinds.application().read(arguments.app)
        addresses = [_address(text) for text in arguments.listen or ("8000",)]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return example.Wishes(
        name=arguments.name,
        application=application,
        addresses=addresses,
        directory=directory,
        venv=venv,
        group=_proxy_group(arguments),
        users_path=str(path) if arguments.user else "",
    )


def _address(text: str) -> str:
    return read_address(f"127.0.0.1:{text}" if text.isdecimal() else text)


def _proxy_group(arguments: argparse.Namespace) -> str:
    if arguments.proxy_user:
        return accounts.group_of(arguments.proxy_user)
    if arguments.user:
        return ""  # a user cannot give a socket away
    return next(filter(_exists, _PROXY_GROUPS), "")


def _exists(group: str) -> bool:
    try:
        accounts.group_id(group)
    except LookupError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
        path.chmod(0o644)  # the instance's own user reads it
    except FileExistsError:
        raise SdserveError(f"{path} is there already; edit it, or remove it first") from None
    except OSError as error:
        raise SdserveError(f"{path} cannot be written: {error.strerror}") from None


def _next(wishes: example.Wishes, path: Path, systemctl: Systemctl) -> Iterator[str]:
    yield f"{path} is written: {wishes.application} at {', '.join(wishes.addresses)}"
    yield f"Next: {systemctl.command} enable --now sdserve@{wishes.name}"
