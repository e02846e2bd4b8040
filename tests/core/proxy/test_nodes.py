from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.proxy.nodes import parse_bare_node, parse_node, plain

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None)
PORTS = st.integers(0, 65535)

NOBODY = [
    "",
    " ",
    "unknown",
    "_hidden",
    "_",
    "localhost",
    "shop.example:80",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:x",
    "1.2.3.4:65536",
    "1.2.3.4:123456",
    "1.2.3.4:+1",
    "1.2.3.4:_",
    "1.2.3.4 ",
    "1.2.3.4\n",
    "\u0661.2.3.4",
    "1.2.3.4:٣",
    "16909060",
    "0x1020304",
    "[1.2.3.4]",
    "[::1",
    "::1]",
    "[::1]x",
    "[::1]:65536",
    "[fe80::1%eth0]",
    "fe80::1%eth0",
    "[::g]",
    "1::2::3",
    ":::",
    '"[::1]"',
    "[[::1]]",
    "x" * 5000,
]


@pytest.mark.parametrize("text", NOBODY, ids=lambda text: text[:20])
@pytest.mark.parametrize("parse", [parse_node, parse_bare_node])
def test_what_names_nobody(parse, text):
    assert parse(text) is None


@given(V4 | V6, PORTS)
def test_an_address_with_a_port(address, port):
    text = f"[{address}]" if address.version == 6 else str(address)
    for parse in (parse_node, parse_bare_node):
        assert parse(text) == (address, 0)
        assert parse(f"{text}:{port}") == (address, port)
        assert parse(f"{text}:_secret.1-x") == (address, 0)


@given(V6)
def test_brackets_belong_around_ipv6_but_not_in_x_forwarded_for(address):
    assert parse_node(str(address)) is None
    assert parse_bare_node(str(address)) == (address, 0)
    assert parse_bare_node(address.exploded.upper()) == (address, 0)


@given(V4)
def test_ipv4_within_ipv6_is_ipv4(address):
    mapped = IPv6Address(f"::ffff:{address}")
    assert plain(mapped) == plain(address) == address
    assert parse_node(f"[{mapped}]:1") == (address, 1)
    assert parse_bare_node(str(mapped)) == parse_bare_node(f"::ffff:{address}") == (address, 0)


@given(st.text() | st.text("0123456789abcdf:.[]_%"))
def test_any_text_is_an_address_or_nobody(text):
    for parse in (parse_node, parse_bare_node):
        node = parse(text)
        if node is not None:
            address, port = node
            assert isinstance(address, IPv4Address | IPv6Address)
            assert plain(ip_address(str(address))) == address
            assert 0 <= port <= 65535
