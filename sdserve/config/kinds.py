"""The kinds of value that an option may have: how it is read, shown and described."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sdserve.config import units
from sdserve.config.addresses import read_address, read_network
from sdserve.config.nearest import suggestion
from sdserve.core.proxy import names
from sdserve.core.proxy.origin import is_root_path
from sdserve.core.tls.options import CREDENTIAL

N = TypeVar("N", int, float)

AUTO = "auto"
_INTEGER = re.compile(r"[0-9]{1,9}")
_MODE = re.compile(r"0?[0-7]{3}")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}|0|[1-9][0-9]{0,8}")
_REQUEST_PATH = re.compile(r"(?:/[!$-;=?-Z_a-z~]{0,500})?")
_CREDENTIAL = re.compile(re.escape(CREDENTIAL) + r"[^/\0]{1,255}(?<!:\.)(?<!:\.\.)")
_CIPHERS = re.compile(r"[A-Za-z0-9_+!@=:,. -]{1,1000}")
_FIELD_VALUE = re.compile(r"(?:[!-~](?:[ -~]{0,126}[!-~])?)?")


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of an option are written."""

    what: str
    """For the manual: what may be written."""
    read: Callable[[str], Any]
    """Returns the value; raises ValueError with a text for the operator."""
    show: Callable[[Any], str] = str
    """Returns what `read` would read as the same value."""
    several: bool = False
    """The option takes several values, one a line; it then has a tuple of them."""
    is_path: bool = False
    """A relative value starts from where it was written."""


def choice(*words: str) -> Kind:
    """One of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not valid{suggestion(text, words, listing='choose one of')}")
        return text

    return Kind(", ".join(f"`{word}`" for word in words), read)


def boolean() -> Kind:
    """Yes or no."""
    return Kind("`yes`, `no`", units.read_boolean, units.show_boolean)


def integer(least: int, most: int) -> Kind:
    """A whole number."""

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{text!r} is not a whole number")
        return _within(int(text), least, most, str)

    return Kind(f"{least} to {most}", read)


def auto_or_integer(least: int, most: int) -> Kind:
    """The word `auto`, which the loader turns into a number, or a whole number."""
    number = integer(least, most)

    def read(text: str) -> int | str:
        if text == AUTO:
            return AUTO
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{text!r} is neither {AUTO} nor a whole number")
        return int(number.read(text))

    return Kind(f"`{AUTO}` or {number.what}", read)


def duration(least: float, most: float) -> Kind:
    """A time, in seconds."""
    show = units.show_duration

    def read(text: str) -> float:
        return _within(units.read_duration(text), least, most, show)

    return Kind(f"duration, {show(least)} to {show(most)}", read, show)


def size(least: int, most: int) -> Kind:
    """A size, in bytes."""
    show = units.show_size

    def read(text: str) -> int:
        return _within(units.read_size(text), least, most, show)

    return Kind(f"size, {show(least)} to {show(most)}", read, show)


def application() -> Kind:
    """Where the application is found."""

    def read(text: str) -> str:
        module, colon, attribute = text.partition(":")
        names = [*module.split("."), *attribute.removesuffix("()").split(".")]
        if not colon or not all(name.isidentifier() for name in names):
            raise ValueError(f"{text!r} is neither module:attribute nor module:factory()")
        return text

    return Kind("`module:attribute` or `module:factory()`", read)


def request_path() -> Kind:
    """A path to ask ourselves for, perhaps with a query (RFC 9112 section 3.2.1)."""

    def read(text: str) -> str:
        if not _REQUEST_PATH.fullmatch(text):
            raise ValueError(f"{text!r} does not begin with / or has what needs %-escapes, as spaces")
        return text

    return Kind("path of a request, as `/health`", read)


def path() -> Kind:
    """A directory; where a relative one starts is the loader's business."""

    def read(text: str) -> str:
        if text.startswith("~"):
            raise ValueError("~ is not expanded, write the whole path")
        return text

    return Kind("path", read, is_path=True)


def certificate_files() -> Kind:
    """Files, or credentials, one a line."""
    return replace(certificate_file(), what="path or `credential:NAME`; one a line", several=True)


def certificate_file() -> Kind:
    """A file, or the name of a credential (systemd.exec(5), LoadCredential=)."""
    read_path = path().read

    def read(text: str) -> str:
        if text.startswith(CREDENTIAL) and not _CREDENTIAL.fullmatch(text):
            raise ValueError(f"{text!r} is not {CREDENTIAL} and a name without a slash")
        return str(read_path(text))

    return Kind("path or `credential:NAME`", read, is_path=True)


def ciphers() -> Kind:
    """A cipher list of OpenSSL's, openssl-ciphers(1); what it makes of it is seen when it is used."""

    def read(text: str) -> str:
        if not _CIPHERS.fullmatch(text):
            raise ValueError(f"{text!r} is not a cipher list; see openssl-ciphers(1)")
        return text

    return Kind("OpenSSL's cipher list", read)


def addresses() -> Kind:
    """Where to listen, one address a line."""
    return Kind("`HOST:PORT`, `[IPV6]:PORT`, `unix:/path`; one a line", read_address, several=True)


def file_mode() -> Kind:
    """Permissions, in octal."""

    def read(text: str) -> int:
        if not _MODE.fullmatch(text):
            raise ValueError(f"{text!r} is not a file mode like 0660")
        return int(text, 8)

    return Kind("octal file mode", read, lambda mode: f"{mode:04o}")


def account() -> Kind:
    """A user or a group, by name (as systemd takes it, "User/Group Name Syntax") or number; not looked up."""

    def read(text: str) -> str:
        if not _ACCOUNT.fullmatch(text):
            raise ValueError(f"{text!r} is no name or number of a user or group")
        return text

    return Kind("name or number", read)


def field_value() -> Kind:
    """The value of an HTTP field that we send (RFC 9110 section 5.5), here without obs-text."""

    def read(text: str) -> str:
        if not _FIELD_VALUE.fullmatch(text):
            raise ValueError(
                f"{text!r} is not up to 128 printable ASCII characters without spaces at the ends"
            )
        return text

    return Kind('text; `""` sends none', read)


def peers() -> Kind:
    """Whom to trust: networks, and `unix`."""

    def read(text: str) -> tuple[str, ...]:
        return tuple(read_network(part) for part in _parts(text))

    return Kind("networks as `10.0.0.0/8`, addresses, `unix`; commas between them", read, ", ".join)


def proxy_fields() -> Kind:
    """Names of fields by which proxies tell about their clients."""
    valid = [name.decode("ascii") for name in names.FIELDS]
    forwarded = names.FORWARDED.decode("ascii")

    def read(text: str) -> tuple[str, ...]:
        chosen = tuple(part.lower() for part in _parts(text))
        for name in chosen:
            if name not in valid:
                raise ValueError(f"{name!r} is not valid{suggestion(name, valid, listing='choose some of')}")
        rivals = [name.decode("ascii") for name in (names.FOR, names.PROTO, names.HOST)]
        rival = next((name for name in rivals if name in chosen and forwarded in chosen), None)
        if rival is not None:
            raise ValueError(f"{forwarded} and {rival} say the same; name the one that the proxy sets")
        return chosen

    return Kind(", ".join(f"`{name}`" for name in valid) + "; commas between them", read, ", ".join)


def root_path() -> Kind:
    """Where an application is mounted."""

    def read(text: str) -> str:
        if not is_root_path(text):
            raise ValueError(f"{text!r} is not a path like /shop: no slash at its end, nothing to be escaped")
        return text

    return Kind("path as `/shop`", read)


def _parts(text: str) -> list[str]:
    """Split at commas; an empty text has no part, an empty part is left for `read` to complain about."""
    return [part.strip(" \t") for part in text.split(",")] if text else []


def _within(value: N, least: N, most: N, show: Callable[[Any], str]) -> N:
    if not least <= value <= most:
        raise ValueError(f"{show(value)} is out of range, {show(least)} to {show(most)}")
    return value
