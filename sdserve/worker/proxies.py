"""What proxies say: whom to believe, and what to write about the others."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sdserve.config.model import Listener
from sdserve.core.http.request import Field, Request
from sdserve.core.proxy.header import PEEK, HeaderReader, ProxyHeader
from sdserve.core.proxy.origin import Fronting, drop_twins
from sdserve.core.proxy.trust import Trust
from sdserve.errors import RemoteProtocolError

if TYPE_CHECKING:
    from sdserve.worker.peer import Peer

log = logging.getLogger("sdserve.proxy")

_SAY_EVERY = 60.0
_LAST_CHANCE = 1.0
"""Seconds that a connection has for its PROXY header once we drain."""


class Proxies:
    """One a worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        """Give proxies `timeout` seconds for their headers."""
        self._loop = loop
        self._timeout = timeout
        self._known: dict[Listener, tuple[Trust, Fronting]] = {}
        self._awaited: set[asyncio.Timeout] = set()
        self._hurried = False
        self._said = float("-inf")
        self._unsaid = 0

    def _of(self, listener: Listener) -> tuple[Trust, Fronting]:
        known = self._known.get(listener)
        if known is None:
            trust = Trust(listener.trusted)
            fronting = Fronting(
                trust=trust, trusted_fields=listener.trusted_fields, root_path=listener.root_path
            )
            known = self._known[listener] = trust, fronting
        return known

    # Fields of requests

    def judge(self, request: Request, listener: Listener, peer: Peer) -> None:
        """Set the request's `origin` where it is another one than the connection's.

        Raises:
            RemoteProtocolError: a trusted proxy says what nobody can, or the path is not the listener's.
        """
        fronting = peer.fronting
        if fronting is None:
            trust, fronting = self._of(listener)
            peer.fronting = fronting
            peer.trusted = _is_trusted(trust, peer)
        if peer.trusted or listener.root_path:
            request.origin = fronting.origin(request, peer.client, peer.scheme, peer.trusted)
        else:
            drop_twins(request)
        if not peer.trusted and request.proxied is not None:
            self._warn(listener, peer, request.proxied)

    def _warn(self, listener: Listener, peer: Peer, fields: Iterable[Field]) -> None:
        """Say that somebody who is not trusted spoke for others, once a minute."""
        now = self._loop.time()
        if now - self._said < _SAY_EVERY:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more such requests since the last of these lines)" if self._unsaid else ""
        self._said = now
        self._unsaid = 0
        log.warning(
            "%s sent %s and is not in listen:%s.trusted: ignored; add it there if it is your proxy%s",
            describe(peer),
            ", ".join(sorted({name.decode("ascii") for name, _ in fields})),
            listener.name,
            more,
        )

    # Headers of connections

    async def read_header(self, connected: socket.socket, listener: Listener, peer: Peer) -> ProxyHeader:
        """Take the PROXY header off the connection's front, and not a byte behind it.

        Raises:
            RemoteProtocolError: the peer may not send one, or it is none, or does not come in time.
            OSError: the connection is gone.
        """
        if not _is_trusted(self._of(listener)[0], peer):
            raise RemoteProtocolError(f"it is not in listen:{listener.name}.trusted")
        reader = HeaderReader()
        try:
            async with asyncio.timeout(_LAST_CHANCE if self._hurried else self._timeout) as limit:
                self._awaited.add(limit)
                try:
                    while reader.header is None:
                        await self._take(connected, reader)
                finally:
                    self._awaited.discard(limit)
        except TimeoutError:
            raise RemoteProtocolError("no PROXY header came in time") from None
        return reader.header

    async def _take(self, connected: socket.socket, reader: HeaderReader) -> None:
        try:
            peeked = connected.recv(PEEK, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            await self._readable(connected)
            return
        if not peeked:
            raise ConnectionAbortedError("the connection ended in or before its PROXY header")
        connected.recv(reader.receive_data(peeked))

    async def _readable(self, connected: socket.socket) -> None:
        readable = self._loop.create_future()
        self._loop.add_reader(connected.fileno(), _wake, readable)
        try:
            await readable
        finally:
            self._loop.remove_reader(connected.fileno())

    def hurry(self) -> None:
        """The worker drains: whose header is not here soon has no request for us."""
        self._hurried = True
        latest = self._loop.time() + _LAST_CHANCE
        for limit in self._awaited:
            limit.reschedule(min(limit.when() or latest, latest))


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _is_trusted(trust: Trust, peer: Peer) -> bool:
    """Whether who sends the next bytes may speak for others.

    Behind a PROXY header that is who connected to the proxy: it relays bytes and does not answer for them.
    """
    if peer.header is not None:
        return peer.header.source is not None and trust.trusts_peer(peer.header.source[0])
    return trust.unix if peer.host is None else trust.trusts_peer(peer.host)


def describe(peer: Peer) -> str:
    """Name a peer in a log line, as far as it has a name."""
    if peer.host is None:
        who = f"a peer of {peer.local[0] or 'a unix socket'}"
        if peer.credentials is not None:
            who += f" (uid {peer.credentials.uid}, pid {peer.credentials.pid})"
    else:
        who = peer.host
    if peer.header is not None and peer.header.source is not None:
        return f"{peer.header.source[0]}, by {who},"
    return who
