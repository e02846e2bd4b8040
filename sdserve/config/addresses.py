"""The addresses and networks that a configuration may name: those that need no looking up."""

from __future__ import annotations

import ipaddress

from sdserve.core.proxy.trust import UNIX
from sdserve.host.addresses import TcpAddress, parse


def read_address(text: str) -> str:
    """Return `IPV4:PORT`, `[IPV6]:PORT` or `unix:/path`.

    Taken are these three, an absolute path, and `localhost`, which is 127.0.0.1. Other names are not
    resolved: what a name means may change between two starts, and a server should not wait for a name server.

    Raises:
        ValueError: with a text for the operator.
    """
    if text.startswith("/"):
        text = f"unix:{text}"
    host, colon, port = text.rpartition(":")
    if colon and host in ("", "*"):
        raise ValueError(f"of which host? 0.0.0.0:{port} is all of IPv4, [::]:{port} all of IPv6")
    if _is_v6(text):
        raise ValueError(f"an IPv6 address stands in brackets and has a port: [{text}]:8000")
    address = parse(text)
    if not isinstance(address, TcpAddress):
        return str(address)
    return str(TcpAddress(_number(address.host), address.port))


def read_network(text: str) -> str:
    """Return `10.0.0.0/8`, `2001:db8::/32`, or `unix`; an address alone is a network of one.

    Raises:
        ValueError: with a text for the operator.
    """
    if text == UNIX:
        return text
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        message = f"{text!r} is neither a network as 10.0.0.0/8 nor an address nor {UNIX}"
        raise ValueError(message) from None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text!r} is IPv4 in IPv6 clothes; write the IPv4 network")
    given = ipaddress.ip_address(text.partition("/")[0])
    if network.network_address != given:
        raise ValueError(f"{text!r} has bits behind its prefix, did you mean {network} or only {given}?")
    return str(network) if network.num_addresses > 1 else str(given)


def _number(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        message = f"{host!r} is not an IP address; names are not resolved, except localhost"
        raise ValueError(message) from None
    if isinstance(number, ipaddress.IPv6Address) and number.scope_id is not None:
        raise ValueError(f"{host!r} is an address of one link only, which cannot be listened on here")
    return str(number)


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
