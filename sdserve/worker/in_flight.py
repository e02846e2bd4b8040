"""Which request a worker has been answering for longest, for the log of one that stands still.

Nobody pays for it per request: once a second it is looked which requests are there. So an age is right within
a second, also if the loop has not turned since: what began after the last look is as old as that.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdserve.worker.http import HttpProtocol


class InFlight:
    """Looks at connections, a collection that is its owner's."""

    def __init__(self, protocols: Collection[HttpProtocol], now: float) -> None:
        self._protocols = protocols
        self._looked = now
        self._since: dict[HttpProtocol, tuple[int, float]] = {}
        """The number of the request on its connection, and the look before the first that saw it."""

    def tick(self, now: float) -> None:
        """Look who is there."""
        self._since = {
            protocol: (protocol.connection.requests, self._began(protocol)) for protocol in self._answering()
        }
        self._looked = now

    def forget(self, protocol: HttpProtocol) -> None:
        """The connection is gone."""
        self._since.pop(protocol, None)

    def describe(self, now: float) -> str:
        """How many requests are in flight, and which is the oldest."""
        answering = self._answering()
        if not answering:
            return "no request is in flight"
        oldest = min(answering, key=self._began)
        assert oldest.exchange is not None
        request = oldest.connection.request
        origin = request.origin if request is not None else None
        client = oldest.peer.client if origin is None else origin.client
        who = client[0] if client else "a unix socket" if origin is None else "an unknown client"
        age = max(0.0, now - self._began(oldest))
        many = "1 request is" if len(answering) == 1 else f"{len(answering)} requests are"
        return f"{many} in flight, the oldest for {age:.0f} s: {oldest.exchange.where} from {who}"

    def _answering(self) -> list[HttpProtocol]:
        return [protocol for protocol in self._protocols if protocol.exchange is not None]

    def _began(self, protocol: HttpProtocol) -> float:
        number, since = self._since.get(protocol, (0, 0.0))
        return since if number == protocol.connection.requests else self._looked
