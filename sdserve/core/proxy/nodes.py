"""Who a proxy says it speaks for: an IP address, perhaps with a port, or something that is none."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

Ip = IPv4Address | IPv6Address
Node = tuple[Ip, int]
"""An address, and a port; 0 where none was told."""

_NODE = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]{2,45})\]|(?P<v4>[0-9.]{7,15}))"
    r"(?::(?:(?P<port>[0-9]{1,5})|_[A-Za-z0-9._-]{1,64}))?"
)
"""`node` of RFC 7239 section 6 but for `unknown` and obfuscated names. Nothing in it can backtrack far."""
_BARE_V6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_LAST_PORT = 65535


def plain(address: Ip) -> Ip:
    """Return an IPv4 address that is mapped into IPv6 (RFC 4291 section 2.5.5.2) as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_node(text: str) -> Node | None:
    """Return who `text` names: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]` or `[2001:db8::1]:80`.

    None for everything else: `unknown`, obfuscated names (RFC 7239 section 6.3), host names, addresses with
    a zone, which means something on one machine only. An obfuscated port counts as none.
    """
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    bracketed, v4, port = match.groups()
    number = int(port or 0)
    if number > _LAST_PORT:
        return None
    try:
        return (plain(IPv6Address(bracketed)) if bracketed else IPv4Address(v4)), number
    except ValueError:
        return None


def parse_bare_node(text: str) -> Node | None:
    """As `parse_node`, and also IPv6 addresses without brackets, as X-Forwarded-For has them."""
    if text.count(":") < 2 or _BARE_V6.fullmatch(text) is None:
        return parse_node(text)
    try:
        return plain(IPv6Address(text)), 0
    except ValueError:
        return None
