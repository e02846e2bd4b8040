"""The effective settings as `sdserve show` prints them: value by value, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sdserve.config.kinds import AUTO
from sdserve.config.load import Loaded
from sdserve.config.model import DEFAULT_LISTENER, Configuration
from sdserve.config.options import BY_SECTION, ENVIRONMENT, LISTEN, Option

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Row:
    """One effective value, written as it could be in a file."""

    section: str
    option: str
    text: str
    origin: str
    """`file:line`, an option of the command line, or `default`."""


def rows(loaded: Loaded) -> Iterator[Row]:
    """Yield every option of `loaded` with its effective value, in the order of the manual."""
    configuration = loaded.configuration
    for kind, options in BY_SECTION.items():
        if kind == LISTEN:
            for listener in configuration.listen or (DEFAULT_LISTENER,):
                for option in options.values():
                    owner = listener if type(listener) in option.owners else listener.tls
                    yield from _rows(loaded, f"{LISTEN}:{listener.name}", option, owner)
        else:
            for option in options.values():
                yield from _rows(loaded, kind, option, _owner(configuration, option))
    for name, text in configuration.environment.items():
        yield Row(ENVIRONMENT, name, quoted(text), loaded.values[ENVIRONMENT, name].origin())


def _rows(loaded: Loaded, section: str, option: Option, owner: object) -> Iterator[Row]:
    effective = getattr(owner, option.field)
    written = loaded.values.get((section, option.name))
    for index, value in enumerate(effective if option.kind.several else (effective,)):
        origin = DEFAULT if written is None else written.origin(index)
        if written is not None and written.value == AUTO != effective:
            origin += f" ({AUTO})"
        yield Row(section, option.name, quoted(option.kind.show(value)), origin)


def _owner(configuration: Configuration, option: Option) -> object:
    """Return the part of `configuration` that has `option` as a field."""
    parts = (
        configuration.app,
        configuration.fleet,
        configuration.workers,
        configuration.http,
        configuration.websocket,
        configuration.log,
    )
    return next(part for part in parts if type(part) in option.owners)


def quoted(text: str) -> str:
    """Return `text` with quotes around it if a file would not give the same value without them."""
    odd = not text or text[0] in "\"'#;" or text != text.strip(" \t")
    if not odd and not any(mark in text for mark in (" #", " ;", "\t#", "\t;")):
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'
