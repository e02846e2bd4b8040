"""`sdserve apply NAME`: have an instance listen where its INI says now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdserve.cli.arguments import configuration_directory
from sdserve.cli.check import problems
from sdserve.cli.output import write
from sdserve.config.load import Loaded, load
from sdserve.config.target import find_target, is_instance
from sdserve.config.units import show_duration
from sdserve.errors import EXIT_FAILURE, EXIT_OK, ConfigurationError, Problem, SdserveError, UsageError
from sdserve.generator import main as generator
from sdserve.generator import units
from sdserve.generator.listening import BrokenError
from sdserve.host import control_client
from sdserve.host.systemctl import Systemctl

NAME = "apply"
HELP = "have an instance listen where its configuration says now"
EXAMPLES = """\
  sdserve apply shop                        tell what will be interrupted, ask, and do it
  sdserve apply shop --dry-run              only tell
  sdserve apply shop --yes                  do not ask"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What runs, as far as it can be told, and what should."""

    name: str
    runs: bool
    is_open: bool
    """The sockets are wanted by somebody: they were opened, with or without the service."""
    served: tuple[tuple[str, str], ...] | None
    """Listener and address, of a service that answers."""
    configured: tuple[tuple[str, str], ...]
    connections: int
    in_flight: int
    drain_timeout: float
    units_differ: bool
    is_hinted: bool
    """The service itself says that it needs a restart."""

    @property
    def needs_restart(self) -> bool:
        """Whether anything of the sockets is not as configured."""
        moved = self.served is not None and sorted(self.served) != sorted(self.configured)
        return self.units_differ or moved or self.is_hinted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take NAME and how much to ask."""
    parser.add_argument("name", metavar="NAME", help="of the instance")
    parser.add_argument("--user", action="store_true", help="one of this user's service manager")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done")
    parser.add_argument("--yes", action="store_true", help="do it without a question")


def execute(arguments: argparse.Namespace) -> int:
    """Compare, tell, ask, do."""
    name = arguments.name
    if not is_instance(name):
        raise UsageError(f"{name!r} is not the name of an instance")
    systemctl = Systemctl(is_user=arguments.user)
    directory = configuration_directory(is_user=arguments.user)
    loaded = load(find_target(name, directory), inspect=problems)
    situation = _look(loaded, systemctl, _wanted(directory, name, is_user=arguments.user))
    write("\n".join(plan(situation, systemctl.command)))
    if arguments.dry_run or not (situation.needs_restart and (situation.runs or situation.is_open)):
        if not arguments.dry_run and situation.units_differ:
            systemctl.run("daemon-reload")
        return EXIT_OK
    if not arguments.yes and not _is_confirmed():
        return EXIT_FAILURE
    _restart(situation, systemctl)
    return EXIT_OK


def plan(situation: Situation, systemctl: str) -> Iterator[str]:
    """What there is to do, and what it interrupts, line by line."""
    name = situation.name
    if not situation.needs_restart:
        yield f"{name}: the sockets are as configured, nothing is interrupted"
        return
    before, after = situation.served or (), situation.configured
    gone = [place for place in before if place not in after]
    new = [place for place in after if place not in before]
    yield from (f"{name}: [listen:{listener}] no longer at {address}" for listener, address in gone)
    yield from (f"{name}: [listen:{listener}] at {address}" for listener, address in new)
    if situation.runs:
        yield f"sdserve@{name}.service and its sockets are stopped and started, new connections are refused"
        yield (
            f"open are {situation.connections} connections, with {situation.in_flight} requests in flight, "
            f"which have {show_duration(situation.drain_timeout)} to finish"
        )
    elif situation.is_open:
        yield f"the sockets of sdserve@{name}.service, which does not run, are closed and opened again"
    else:
        yield f"nothing of it runs, nothing is interrupted; start it with: {systemctl} start sdserve@{name}"


def _wanted(directory: Path, name: str, *, is_user: bool) -> dict[str, str]:
    path = str(directory / f"{name}.ini")
    try:
        return generator.wanted(str(directory), name, is_user=is_user)
    except BrokenError as error:
        raise ConfigurationError(error.problems) from None
    except ValueError as error:
        raise ConfigurationError([Problem(path, 0, "", "", str(error))]) from None


def _look(loaded: Loaded, systemctl: Systemctl, wanted: dict[str, str]) -> Situation:
    configuration = loaded.configuration
    name = configuration.name
    status = _status(name)
    workers = status["workers"] if status else []
    listeners = configuration.listen or (units.default_listener(),)
    return Situation(
        name=name,
        runs=systemctl.is_active(units.service(name)),
        is_open=bool(_sockets(name, systemctl)),
        served=_served(status) if status else None,
        configured=tuple((listener.name, place) for listener in listeners for place in listener.addresses),
        connections=sum(worker["connections"] for worker in workers),
        in_flight=sum(worker["in_flight"] for worker in workers),
        drain_timeout=configuration.fleet.drain_timeout,
        units_differ=_made(name, systemctl.generated()) != wanted,
        is_hinted=any("a restart is needed" in hint for hint in (status["hints"] if status else ())),
    )


def _status(name: str) -> dict[str, Any] | None:
    try:
        status: dict[str, Any] = control_client.call(name, "Status", timeout=10)["status"]
    except SdserveError:
        return None
    return status


def _served(status: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((listener["name"], listener["address"]) for listener in status["listeners"])


def _sockets(name: str, systemctl: Systemctl) -> list[str]:
    """The socket units of the instance that are open, also those that are configured no longer."""
    listing = systemctl.run(
        "list-units", "--plain", "--no-legend", "--full", "--state=active", f"sdserve@{name}@*.socket"
    )
    return [line.split()[0] for line in listing.splitlines() if line.strip()]


def _made(name: str, directory: Path) -> dict[str, str]:
    """The units of the instance as they were made last."""
    paths = [
        *directory.glob(f"sdserve@{name}@*.socket"),
        directory / f"{units.service(name)}.d" / units.DROP_IN,
    ]
    return {str(path.relative_to(directory)): path.read_text() for path in paths if path.exists()}


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask here, add --yes to go on")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _restart(situation: Situation, systemctl: Systemctl) -> None:
    """Have it done, with the longest part first: until the service stops, it serves.

    A socket cannot be opened while its service runs, and one whose address has changed is lost with the
    daemon-reload. So all of them are closed with the service, since a connection to one would start it again.
    """
    name = situation.name
    systemctl.run("daemon-reload")
    systemctl.run("stop", units.service(name), units.target(name), *_sockets(name, systemctl))
    systemctl.run("start", units.target(name))
    if situation.runs:
        systemctl.run("start", units.service(name))
