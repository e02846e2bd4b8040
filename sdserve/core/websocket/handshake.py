"""The opening handshake (RFC 6455 section 4): whether a request may become a WebSocket, and the answer.

The request has passed all rules of HTTP before; nothing of it is parsed a second time.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha1

from sdserve.core.http.grammar import TOKEN
from sdserve.core.http.request import Field, Request
from sdserve.core.http.response import Head, Standing
from sdserve.core.websocket.deflate import EXTENSION, DeflateTerms, acceptable
from sdserve.errors import LocalProtocolError, RemoteProtocolError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
"""Sixteen bytes in base64."""

UPGRADE_REQUIRED = 426
_VERSION = b"13"
_SWITCHING = b"HTTP/1.1 101 Switching Protocols"

_T = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rb"[ \t]*;[ \t]*(" + _T + rb")[ \t]*(?:=[ \t]*(" + _T + rb"|\"" + _T + rb"\"))?")
_NAME = re.compile(_T)
"""RFC 6455 section 9.1. A quoted value has to be a token as well, so it has no escapes that would matter."""

_MOST_OFFERS = 16
"""Of extensions: browsers send one, libraries up to three."""

_OURS = frozenset(b"sec-websocket-accept sec-websocket-extensions sec-websocket-protocol upgrade".split())


class Opening:
    """What a client asks for. `terms` are those of permessage-deflate, None without."""

    __slots__ = ("key", "subprotocols", "terms")

    def __init__(self, key: bytes, subprotocols: list[str], terms: DeflateTerms | None) -> None:
        self.key = key
        self.subprotocols = subprotocols
        self.terms = terms


def wants_websocket(request: Request) -> bool:
    """Whether an upgrade to WebSocket is asked for; RFC 9110 section 7.8 ignores that in HTTP/1.0."""
    return b"websocket" in [name.strip(b" \t") for name in request.upgrade.lower().split(b",")]


def read_opening(request: Request, compression: bool) -> Opening:
    """Apply the rules of RFC 6455 section 4.2.1 to a request that wants WebSocket.

    Raises:
        RemoteProtocolError: answer with its status, and with `refusal_fields`.
    """
    if request.method != "GET":
        raise RemoteProtocolError("a WebSocket handshake that is no GET")
    if request.length:
        raise RemoteProtocolError("a WebSocket handshake with a body")
    if _values(request, b"sec-websocket-version") != [_VERSION]:
        raise RemoteProtocolError("a version of WebSocket other than 13", UPGRADE_REQUIRED)
    keys = _values(request, b"sec-websocket-key")
    if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:
        raise RemoteProtocolError("Sec-WebSocket-Key is not one value of 16 bytes")
    terms = None
    for name, parameters in _offers(b",".join(_values(request, b"sec-websocket-extensions"))):
        if compression and terms is None and name == EXTENSION:
            offer = dict(parameters)
            if len(offer) == len(parameters) and acceptable(offer):
                terms = DeflateTerms(offer)
    return Opening(keys[0], _subprotocols(_values(request, b"sec-websocket-protocol")), terms)


def refusal_fields(status: int) -> list[Field]:
    """Return what a refused client is told: RFC 6455 section 4.4, RFC 9110 section 15.5.22."""
    if status != UPGRADE_REQUIRED:
        return []
    return [(b"sec-websocket-version", _VERSION), (b"upgrade", b"websocket"), (b"connection", b"upgrade")]


def _values(request: Request, name: bytes) -> list[bytes]:
    return [value for found, value in request.fields if found == name]


def _subprotocols(values: list[bytes]) -> list[str]:
    """RFC 6455 section 4.1: tokens, none of them twice."""
    names: list[str] = []
    for part in (element.strip(b" \t") for element in b",".join(values).split(b",")):
        if part:
            if TOKEN.fullmatch(part) is None or (name := part.decode("ascii")) in names:
                raise RemoteProtocolError("Sec-WebSocket-Protocol is no list of different tokens")
            names.append(name)
    return names


def _offers(value: bytes) -> Iterator[tuple[bytes, list[tuple[bytes, bytes | None]]]]:
    """Read `name; parameter=value; flag, name ...`; the names in lower case."""
    for part in (element.strip(b" \t") for element in value.split(b",", _MOST_OFFERS)):
        if not part:
            continue  # RFC 9110 section 5.6.1: empty elements of a list count as none
        name = _NAME.match(part)
        position = name.end() if name is not None else 0
        parameters: list[tuple[bytes, bytes | None]] = []
        while position and (parameter := _PARAMETER.match(part, position)):
            position = parameter.end()
            given = parameter[2]
            parameters.append((parameter[1].lower(), given.strip(b'"') if given is not None else None))
        if name is None or position != len(part):
            raise RemoteProtocolError("Sec-WebSocket-Extensions is no list of extensions")
        yield name[0].lower(), parameters


def accept_value(key: bytes) -> bytes:
    """RFC 6455 section 4.2.2. SHA-1 protects nothing here: it shows that the key was understood."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def accept_head(
    opening: Opening, subprotocol: str | None, fields: Iterable[Field], standing: Standing
) -> bytes:
    """Return the 101 (Switching Protocols).

    Args:
        opening: as `read_opening` returned it.
        subprotocol: what the application chose of those that are offered, or None.
        fields: the application's own.
        standing: our own Date and Server.

    Raises:
        LocalProtocolError: the application broke a rule; nothing may be sent.
    """
    if subprotocol is not None and subprotocol not in opening.subprotocols:
        raise LocalProtocolError(
            f"the application sent a subprotocol that the client does not offer: {subprotocol!r:.60}"
        )
    fields = list(fields)
    for name, _ in fields:
        if name.lower() in _OURS:
            raise LocalProtocolError(
                f"the application sent {name.decode('latin-1')} as a header, which is the server's to send"
            )
    head = Head(_SWITCHING, fields)
    if head.length is not None:
        raise LocalProtocolError("the application sent a Content-Length with websocket.accept")
    head.lines += [
        b"upgrade: websocket",
        b"connection: upgrade",
        b"sec-websocket-accept: " + accept_value(opening.key),
    ]
    if subprotocol is not None:
        head.lines.append(b"sec-websocket-protocol: " + subprotocol.encode("ascii"))
    if opening.terms is not None:
        head.lines.append(b"sec-websocket-extensions: " + opening.terms.answer)
    return head.encode(standing)
