"""The Forwarded field: RFC 7239."""

from __future__ import annotations

import re

from sdserve.errors import RemoteProtocolError

_TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
_PAIR = re.compile(
    rf"([{_TCHAR}]+)=(?:([{_TCHAR}]+)|\"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)\")[ \t]*"
)
"""`forwarded-pair`, section 4. The alternatives start with different characters: nothing backtracks."""
_SPACE = re.compile(r"[ \t]*")
_QUOTED_PAIR = re.compile(r"\\(.)")


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """Return the elements of all Forwarded fields together: parameters by their lower-case names.

    Empty elements are left out (RFC 9110 section 5.6.1.2). White space around `;` is let pass, as several
    proxies send it and it can mean nothing else.

    Raises:
        RemoteProtocolError: malformed, or a parameter twice in an element. It has to be refused as a whole:
            in a field that somebody began and a proxy went on with, an open quote hides what the proxy says.
    """
    elements: list[dict[str, str]] = []
    element: dict[str, str] = {}
    skip = _SPACE.match
    position = 0
    end = len(value)
    while True:
        position = skip(value, position).end()  # type: ignore[union-attr]  # it matches everywhere
        pair = _PAIR.match(value, position)
        if pair is not None:
            name, token, quoted = pair.groups()
            name = name.lower()
            if name in element:
                raise RemoteProtocolError("Forwarded has a parameter twice in an element")
            element[name] = token if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
            position = pair.end()
        mark = value[position] if position < end else ","
        if mark == ",":
            if element:
                elements.append(element)
                element = {}
        elif mark != ";":
            raise RemoteProtocolError("Forwarded is malformed")
        position += 1
        if position > end:
            return elements
