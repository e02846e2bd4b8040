"""Where one instance listens, by the whole of `sdserve.config`: for what `listening` does not understand."""

from __future__ import annotations

from collections.abc import Iterable

from sdserve.config import ini
from sdserve.config.load import conflicts, fields
from sdserve.config.model import Listener
from sdserve.config.options import LISTEN
from sdserve.config.values import Source, Value, listener_names, read_values
from sdserve.errors import Problem
from sdserve.generator import listening


def read(sections: Iterable[tuple[str, ini.Section]]) -> list[listening.Listening]:
    """Return the listeners of `sections`, each of which comes with its file's path; the last one wins.

    BrokenError if anything is wrong with them.
    """
    values: dict[tuple[str, str], Value] = {}
    problems: list[Problem] = []
    names: dict[str, None] = {}
    for path, section in sections:
        source = Source(path, "/", (section,))
        names |= dict.fromkeys(listener_names(source))
        found, wrong = read_values(source)
        values |= {(value.section, value.name): value for value in found}
        problems += wrong
    values = {key: value for key, value in values.items() if value.value is not None}
    problems += conflicts(values)
    problems += [_without_port(value) for value in values.values() if _lacks_port(value)]
    if problems:
        raise listening.BrokenError(problems)
    return [Listener(name=name, **fields(Listener, values, f"{LISTEN}:{name}")) for name in names]


def _lacks_port(value: Value) -> bool:
    return value.name == "address" and any(address.endswith(":0") for address in value.value)


def _without_port(value: Value) -> Problem:
    message = "a socket unit needs a port, 0 takes any only without one"
    return Problem(value.path, value.lines[0], value.section, value.name, message)
