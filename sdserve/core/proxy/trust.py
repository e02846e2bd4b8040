"""Whom a listener believes what it says about others."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sdserve.core.proxy.nodes import Ip, plain

UNIX = "unix"
"""In place of a network: everybody who may connect to a unix socket."""

_MOST_KNOWN = 1024


class Trust:
    """The networks, and perhaps unix sockets, from which proxies connect."""

    __slots__ = ("_known", "_networks", "unix")

    def __init__(self, trusted: Iterable[str]) -> None:
        """Trust `UNIX`, and networks as `10.0.0.0/8`. ValueError for what is neither."""
        trusted = list(trusted)
        self.unix = UNIX in trusted
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(text) for text in trusted if text != UNIX
        ]
        self._known: dict[str, bool] = {}
        """Peers that were asked about, as there are few; never more than `_MOST_KNOWN`."""

    def trusts(self, address: Ip) -> bool:
        """Whether `address`, as `nodes.plain` gives it, is one of a proxy."""
        return any(address in network for network in self._networks)

    def trusts_peer(self, host: str) -> bool:
        """Whether the `host` of a socket's peer is one of a proxy."""
        known = self._known.get(host)
        if known is None:
            # The name of a link-local peer has a zone, and an IPv4 peer of an IPv6 socket is mapped.
            known = self.trusts(plain(ip_address(host.partition("%")[0])))
            if len(self._known) < _MOST_KNOWN:
                self._known[host] = known
        return known
