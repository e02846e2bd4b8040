"""Where one instance listens, by its files.

The usual ways to write an address or a number are understood here, since to import all of `sdserve.config`
would take several times as long as the rest together. Whatever is written in another way, or wrong, is read
by `whole`, with the code that `sdserve check` uses. So there is one opinion about what is wrong.
"""

from __future__ import annotations

from sdserve.config import files, ini
from sdserve.errors import Problem

TYPE_CHECKING = False
"""As in `typing`, which would have to be imported for it."""
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Listening(Protocol):
        """What a socket unit is made from; `config.model.Listener` and `Listener` here are that."""

        @property
        def name(self) -> str: ...
        @property
        def addresses(self) -> tuple[str, ...]: ...
        @property
        def backlog(self) -> int: ...
        @property
        def defer_accept(self) -> float: ...
        @property
        def mode(self) -> int: ...
        @property
        def owner(self) -> str: ...
        @property
        def group(self) -> str: ...


SECTIONS = ("app", "workers", "reload", "http", "websocket", "log", "environment")
"""Those that do not matter here. An unknown one may be a [listen:NAME] with a mistake in it."""
OPTIONS = ("address", "backlog", "defer_accept", "mode", "owner", "group")
"""Those of [listen:NAME] that do."""
OTHERS = (
    "certificate",
    "key",
    "client_ca",
    "client_certificate",
    "tls_minimum",
    "tls_ciphers",
    "handshake_timeout",
    "trusted",
    "trusted_fields",
    "proxy_protocol",
    "root_path",
)
"""And those that do not."""

_DIGITS = frozenset("0123456789")
_OCTAL = frozenset("01234567")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_WORD = _LETTERS | _DIGITS | frozenset("-_")
_PATH = _WORD | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ./")


class Listener:
    """One listener, as `config.model.Listener` describes it."""

    __slots__ = ("addresses", "backlog", "defer_accept", "group", "mode", "name", "owner")

    def __init__(self, name: str) -> None:
        self.name = name
        self.addresses: tuple[str, ...] = ()
        self.backlog = 2048
        self.defer_accept = 0.0
        self.mode = 0o660
        self.owner = ""
        self.group = ""


class BrokenError(Exception):
    """It cannot be told where the instance listens. `problems` say why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class _UnusualError(Exception):
    """Something is written so that it takes more to understand it."""


def read(paths: Iterable[str]) -> list[Listening]:
    """Return the listeners of the instance with the files `paths`, the last of which wins.

    BrokenError if a mistake may concern them. Other mistakes do not matter: what a service that runs with its
    former configuration listens on must not change because of a misspelled number of workers.
    """
    sections: list[tuple[str, ini.Section]] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.read()
        except OSError as error:
            raise BrokenError([Problem(path, 0, "", "", f"cannot be read: {error.strerror}")]) from None
        found, wrong = ini.read(data, path)
        sections += [(path, section) for section in found if section.name not in SECTIONS]
        problems += [problem for problem in wrong if problem.section not in SECTIONS]
    if problems:
        raise BrokenError(problems)
    try:
        return list(_usual(section for _, section in sections))
    except _UnusualError:
        from sdserve.generator import whole  # all the rest of sdserve.config

        return whole.read(sections)


def instance_files(directory: str, name: str) -> list[str]:
    """Return the files of the instance `name`, in the order in which they are read. OSError."""
    path = f"{directory}/{name}.ini"
    return [path, *files.drop_ins(path)]


def _usual(sections: Iterable[ini.Section]) -> Iterator[Listener]:
    listeners: dict[str, Listener] = {}
    taken: dict[str, str] = {}
    for section in sections:
        kind, colon, name = section.name.partition(":")
        if kind != "listen" or not colon or not name or not _WORD.issuperset(name):
            raise _UnusualError
        listener = listeners.setdefault(name, Listener(name))
        for setting in section.settings:
            if setting.name not in OTHERS:
                _take(listener, setting.name, [line.text for line in setting.lines])
    for listener in listeners.values():
        for address in listener.addresses:
            if taken.setdefault(address, listener.name) is not listener.name:
                raise _UnusualError
        yield listener


def _take(listener: Listener, option: str, texts: list[str]) -> None:
    if option == "address":
        listener.addresses = tuple(map(_address, texts))
        if len(set(listener.addresses)) < len(texts):
            raise _UnusualError
        return
    if len(texts) != 1:  # several are wrong, none puts it back to its default
        raise _UnusualError
    text = texts[0]
    if option == "backlog":
        listener.backlog = _number(text, 65535)
    elif option == "mode":
        if len(text) not in (3, 4) or not _OCTAL.issuperset(text) or (len(text) == 4 and text[0] != "0"):
            raise _UnusualError
        listener.mode = int(text, 8)
    elif option in ("owner", "group"):
        if not text or text[0] not in _LETTERS or not _WORD.issuperset(text) or len(text) > 31:
            raise _UnusualError
        setattr(listener, option, text)
    else:
        raise _UnusualError


def _address(text: str) -> str:
    """Return an address as `config.addresses` would."""
    path = text.removeprefix("unix:")
    if path[:1] == "/":
        if not _PATH.issuperset(path) or len(path) > 107:
            raise _UnusualError
        return f"unix:{path}"
    host, _, port = text.rpartition(":")
    if host == "localhost":
        host = "127.0.0.1"
    if host not in ("[::]", "[::1]"):
        parts = host.split(".")
        if len(parts) != 4 or any(str(_number(part, 255, 0)) != part for part in parts):
            raise _UnusualError
    return f"{host}:{_number(port, 65535)}"


def _number(text: str, most: int, least: int = 1) -> int:
    if not text or len(text) > 5 or not _DIGITS.issuperset(text) or not least <= int(text) <= most:
        raise _UnusualError
    return int(text)
