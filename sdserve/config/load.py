"""From files and command line to one checked configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sdserve.config import ini
from sdserve.config.kinds import AUTO
from sdserve.config.model import Configuration, Listener, LogOptions
from sdserve.config.options import ENVIRONMENT, LISTEN, OPTIONS
from sdserve.config.target import Target
from sdserve.config.values import Source, Value, listener_names, read_values
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import ConfigurationError, Problem
from sdserve.host.cpus import memory_limit, usable_cpus

_USUAL_MEMORY = 128 << 20
"""What a worker with a framework and an application of some size takes."""

Values = Mapping[tuple[str, str], Value]
"""By section and option: what is set, and nothing for what has its default."""
Inspection = Callable[[Values], Iterable[Problem]]
"""Finds what else is wrong with values that mean something: whether what they name is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, and where each part of it was written."""

    configuration: Configuration
    target: Target
    values: Values


def load(target: Target, command_line: Iterable[Source] = (), inspect: Inspection = lambda _: ()) -> Loaded:
    """Read the files of `target`; what stands in a later one wins, and `command_line` over all of them.

    Raises:
        ConfigurationError: with everything that is wrong, in all the files, also what `inspect` found.
    """
    files, problems = _read_files(target)
    values: dict[tuple[str, str], Value] = {}
    listeners: dict[str, None] = {}
    for source in (*files, *target.given, *command_line):
        if source.replaces_listeners:
            listeners = {}
            values = {key: value for key, value in values.items() if not _is_listener(key[0])}
        listeners |= dict.fromkeys(listener_names(source))
        found, wrong = read_values(source)
        values |= {(value.section, value.name): value for value in found}
        problems += wrong
    values = {key: value for key, value in values.items() if value.value is not None}
    problems += _missing(target, values, problems)
    problems += [*conflicts(values), *_tls_conflicts(values), *_trustless(values)]
    problems += inspect(values)
    if problems:
        raise ConfigurationError(_in_file_order(problems, target))
    return Loaded(configuration=_build(target.name, values, listeners), target=target, values=values)


def _read_files(target: Target) -> tuple[list[Source], list[Problem]]:
    sources: list[Source] = []
    problems: list[Problem] = []
    for file in target.files:
        path = str(file)
        try:
            data = file.read_bytes()
        except OSError as error:
            problems.append(Problem(path, 0, "", "", f"cannot be read: {error.strerror}"))
            continue
        sections, wrong = ini.read(data, path)
        problems += wrong
        sources.append(Source(path, target.base, tuple(sections)))
    return sources, problems


def _missing(target: Target, values: Values, problems: list[Problem]) -> list[Problem]:
    """Ask for the application, which has no default, unless it may be in what could not be read."""
    for problem in problems:
        if not problem.section or (problem.section, problem.option) == ("app", "application"):
            return []
    if ("app", "application") in values:
        return []
    return [
        Problem(
            target.path, 0, "app", "application", "is missing; write module:attribute or module:factory()"
        )
    ]


def conflicts(values: Values) -> list[Problem]:
    """Find addresses that are listened on twice."""
    problems = []
    first: dict[str, str] = {}
    for (section, option), value in values.items():
        if _is_listener(section) and option == "address":
            for index, address in enumerate(value.value):
                if address in first and not address.endswith(":0"):  # of those there are many
                    message = f"{address} is listened on already, by {first[address]}"
                    problems.append(Problem(value.path, value.lines[index], section, option, message))
                first.setdefault(address, value.origin(index))
    return problems


def _tls_conflicts(values: Values) -> Iterator[Problem]:
    """Find what makes no sense beside the certificates that there are, or are not."""
    for (section, option), value in values.items():
        if not _is_listener(section) or option not in ("key", "client_ca", "client_certificate"):
            continue
        certificates = values.get((section, "certificate"))
        message = ""
        if certificates is None:
            message = "is about TLS, which needs a certificate"
        elif option == "key" and len(value.value) != len(certificates.value):
            message = f"there are {len(value.value)} for {len(certificates.value)} certificates; each has one"
        elif option == "client_certificate" and (section, "client_ca") not in values:
            message = "needs a client_ca, by which certificates of clients can be verified"
        if message:
            yield Problem(value.path, value.lines[0], section, option, message)


def _trustless(values: Values) -> list[Problem]:
    """Find listeners to which everybody has to send a PROXY header, and from which nobody is let."""
    message = "nobody could connect, as only trusted peers may send such a header; set trusted, too"
    return [
        Problem(value.path, value.lines[0], section, option, message)
        for (section, option), value in values.items()
        if _is_listener(section)
        and (option, value.value) == ("proxy_protocol", True)
        and not ((trusted := values.get((section, "trusted"))) and trusted.value)
    ]


def _in_file_order(problems: list[Problem], target: Target) -> list[Problem]:
    places = {str(path): place for place, path in enumerate(target.files)}
    return sorted(problems, key=lambda problem: (places.get(problem.path, len(places)), problem.line))


def _is_listener(section: str) -> bool:
    return section.startswith(f"{LISTEN}:")


def automatic_count(cpus: int, memory: int | None, max_memory: int) -> int:
    """Return how many workers `auto` is: one for each CPU, as far as the bytes of `memory` feed them.

    `max_memory` is what a worker may take, 0 if nothing is said about it.
    """
    if memory is None:
        return cpus
    return max(1, min(cpus, memory // (max_memory or _USUAL_MEMORY)))


def _build(name: str, values: Values, listeners: Iterable[str]) -> Configuration:
    fleet, workers = (
        fields(owner, values, "workers") | fields(owner, values, "reload")
        for owner in (FleetOptions, WorkerOptions)
    )
    if fleet.get("count") == AUTO:
        fleet["count"] = automatic_count(usable_cpus(), memory_limit(), workers.get("max_memory", 0))
    return Configuration(
        name=name,
        app=AppOptions(**fields(AppOptions, values, "app")),
        listen=tuple(
            Listener(
                name=listener,
                tls=TlsOptions(**fields(TlsOptions, values, f"{LISTEN}:{listener}")),
                **fields(Listener, values, f"{LISTEN}:{listener}"),
            )
            for listener in listeners
        ),
        fleet=FleetOptions(**fleet),
        workers=WorkerOptions(**workers),
        http=HttpOptions(**fields(HttpOptions, values, "http")),
        websocket=WebSocketOptions(**fields(WebSocketOptions, values, "websocket")),
        log=LogOptions(**fields(LogOptions, values, "log")),
        environment={
            option: value.value for (section, option), value in values.items() if section == ENVIRONMENT
        },
    )


def fields(owner: type, values: Values, section: str) -> dict[str, Any]:
    """Return what `section` sets of the fields of `owner`."""
    return {
        option.field: values[section, option.name].value
        for option in OPTIONS
        if owner in option.owners and (section, option.name) in values
    }
