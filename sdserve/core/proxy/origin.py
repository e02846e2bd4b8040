"""Where a request comes from, by what trusted proxies say about it.

Laws:

1. What a peer says about others counts only if the peer is trusted, and only in fields that are named in the
   configuration: what a proxy does not set itself it passes on from its client.
2. Proxies add on the right. From there leftwards each trusted address vouches for the next one; the first
   that is not trusted is the client, and nothing to the left of it counts.
3. What is malformed where it counts is refused, or is nobody; it is never passed over for the next best.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from sdserve.core.http.grammar import HOST as HOST_VALUE
from sdserve.core.http.request import Request
from sdserve.core.proxy.forwarded import parse_forwarded
from sdserve.core.proxy.names import FOR, FORWARDED, HOST, PREFIX, PROTO, TWINS
from sdserve.core.proxy.nodes import Node, parse_bare_node, parse_node
from sdserve.core.proxy.trust import Trust
from sdserve.errors import RemoteProtocolError

Address = tuple[str, int] | None

_LONGEST = 4096
"""Bytes of all these fields of one request together."""
_MOST_HOPS = 20
"""Trusted proxies in a row."""
_MOST_NODES = 1024
_LONGEST_NODE = 64
"""What is remembered of nodes that were seen."""
_UNSEEN: tuple[Address, bool] = (None, True)
"""To be looked at in full, as one that is trusted."""

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Only these two; the others are what Traefik calls them in requests for a WebSocket."""

ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~@:+-]+)*")
"""Whole segments, and nothing that has to be escaped. `//host` would become a link to another site."""
_DOTS = re.compile(r"/\.\.?(?:/|\Z)")


class Origin(NamedTuple):
    """What a request's own connection does not say, or says otherwise."""

    client: Address
    """Who has sent it; port 0 where none was told; None if that is not known."""
    scheme: str
    """How it was sent: `http` or `https`."""
    prefix: str
    """What a proxy has cut off the front of its path."""
    root_path: str
    """Where the application is mounted, for its clients: `prefix`, then the listener's own."""


def is_root_path(text: str) -> bool:
    """Whether an application can be mounted at `text`: "" or segments as `/shop/de`."""
    return ROOT_PATH.fullmatch(text) is not None and _DOTS.search(text) is None


class Fronting:
    """What one listener makes of what proxies say."""

    __slots__ = ("_nodes", "_root_path", "_trust", "_trusted_fields")

    def __init__(self, *, trust: Trust, trusted_fields: Iterable[str], root_path: str) -> None:
        """Believe `trust` what it says in `trusted_fields`, names in lower case.

        `root_path` is where proxies have mounted the application, who leave that in the path.
        """
        self._trust = trust
        self._trusted_fields = frozenset(name.encode("ascii") for name in trusted_fields)
        self._root_path = root_path
        self._nodes: dict[str, tuple[Address, bool]] = {}
        """Nodes that were seen lately: who it is, and whether trusted; never more than `_MOST_NODES`."""

    def origin(self, request: Request, client: Address, scheme: str, trusted: bool) -> Origin:
        """Return where `request` comes from, and give it the Host that the client has sent.

        Args:
            request: with `proxied` if a field of a proxy's is in it; the twins of these are taken out.
            client: that of the connection.
            scheme: that of the connection.
            trusted: whether the peer is.

        Raises:
            RemoteProtocolError: what a proxy says is malformed, or the path is not below `root_path`.
        """
        prefix = ""
        if request.proxied is not None:
            drop_twins(request)
            if trusted:
                client, scheme, prefix = self._believe(request, client, scheme)
        if request.path == b"*":
            return Origin(client, scheme, "", "")  # the server as a whole, and nothing mounted in it
        root_path = self._root_path
        if root_path and not _is_below(request.path, root_path.encode("ascii")):
            raise RemoteProtocolError(f"the path is not below listen.root_path = {root_path}", 404)
        return Origin(client, scheme, prefix, prefix + root_path)

    def _believe(self, request: Request, client: Address, scheme: str) -> tuple[Address, str, str]:
        said = _joined(request, self._trusted_fields)
        hop = 1
        if text := said.get(FOR):
            # Nearly always there is one proxy, and what it says of its client was seen before.
            node, trusted = self._nodes.get(text, _UNSEEN)
            if not trusted:
                client = node
            elif nodes := _listed(text):
                client, hop = self._walk(nodes, parse_bare_node)
        elif elements := parse_forwarded(said[FORWARDED]) if FORWARDED in said else ():
            client, hop = self._walk([element.get("for", "") for element in elements], parse_node)
            said[PROTO] = elements[-hop].get("proto", "")
            said[HOST] = elements[-hop].get("host", "")
        if text := said.get(PROTO):
            scheme = _SCHEMES.get(text) or _SCHEMES.get(_of_hop(text, hop).lower(), scheme)
        if (text := said.get(HOST)) and (host := _of_hop(text, hop)):
            _replace_host(request, host)
        prefix = _of_hop(said[PREFIX], hop).rstrip("/") if PREFIX in said else ""
        if prefix and not is_root_path(prefix):
            raise RemoteProtocolError("X-Forwarded-Prefix is no path to be mounted at")
        return client, scheme, prefix

    def _walk(self, nodes: list[str], parse: Callable[[str], Node | None]) -> tuple[Address, int]:
        """Return the client, None if it is not known, and how many hops away that is: 1 for the last node."""
        client = None
        hop = 0
        for hop, text in enumerate(reversed(nodes[-_MOST_HOPS:]), start=1):
            client, trusted = self._nodes.get(text) or self._learn(text, parse)
            if not trusted:
                return client, hop
        if len(nodes) > _MOST_HOPS:
            raise RemoteProtocolError(f"a request by more than {_MOST_HOPS} trusted proxies")
        return client, hop  # the first of them sent it

    def _learn(self, text: str, parse: Callable[[str], Node | None]) -> tuple[Address, bool]:
        learned: tuple[Address, bool] = (None, False)
        if node := parse(text):
            learned = (str(node[0]), node[1]), self._trust.trusts(node[0])
        if len(text) <= _LONGEST_NODE:
            if len(self._nodes) >= _MOST_NODES:
                self._nodes.clear()
            self._nodes[text] = learned
        return learned


def drop_twins(request: Request) -> None:
    """Take out the fields that only look like those of proxies."""
    for name, _ in request.proxied or ():
        if name in TWINS:
            request.fields = [field for field in request.fields if field[0] not in TWINS]
            return


def _joined(request: Request, believed: Container[bytes]) -> dict[bytes, str]:
    """Return what the believed fields say; several lines of a name are one list (RFC 9110 section 5.3)."""
    said: dict[bytes, str] = {}
    size = 0
    for name, value in request.proxied or ():
        if name in believed:
            size += len(value)
            text = value.decode("latin-1")
            said[name] = f"{said[name]},{text}" if name in said else text
    if size > _LONGEST:
        raise RemoteProtocolError(f"the fields of proxies have more than {_LONGEST} bytes", 431)
    return said


def _listed(text: str) -> list[str]:
    """Return the members of a list; empty ones are none (RFC 9110 section 5.6.1.2)."""
    if "," not in text:
        return [text] if text else []
    return [member for part in text.split(",") if (member := part.strip(" \t"))]


def _of_hop(text: str, hop: int) -> str:
    """Return what the proxy at that hop said, or the one farthest away that said anything."""
    members = _listed(text)
    return members[-min(hop, len(members))] if members else ""


def _replace_host(request: Request, host: str) -> None:
    value = host.encode("latin-1")
    if HOST_VALUE.fullmatch(value) is None or value.startswith(b":"):
        raise RemoteProtocolError("the host that a proxy tells of is none")
    request.fields = [(b"host", value), *(field for field in request.fields if field[0] != b"host")]


def _is_below(path: bytes, root_path: bytes) -> bool:
    """Whether `path`, which is still encoded, is `root_path` or goes on behind it."""
    decoded = unquote_to_bytes(path) if b"%" in path else path
    return decoded == root_path or decoded.startswith(root_path + b"/")
