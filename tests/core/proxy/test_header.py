"""The PROXY protocol; the bytes are written out here, not made by what reads them."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdserve.core.proxy import header
from sdserve.core.proxy.header import HeaderReader, ProxyHeader, crc32c
from sdserve.errors import RemoteProtocolError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4_BLOCK = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 4711, 443)
V6_BLOCK = ip_address("2001:db8::1").packed + ip_address("2001:db8::2").packed + struct.pack("!HH", 4711, 443)
UNIX_BLOCK = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")
V4 = ProxyHeader(relayed=True, source=("192.0.2.1", 4711), destination=("198.51.100.2", 443))
V6 = ProxyHeader(relayed=True, source=("2001:db8::1", 4711), destination=("2001:db8::2", 443))


def v2(block=V4_BLOCK, command=0x21, family=0x11, more=b"", length=None):
    length = len(block) + len(more) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", length) + block + more


def vector(kind, value):
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def with_checksum(block=V4_BLOCK, before=b"", behind=b""):
    without = v2(block, more=before + vector(3, bytes(4)) + behind)
    at = 16 + len(block) + len(before) + 3
    return without[:at] + crc32c(without) + without[at + 4 :]


def read(data, step=None):
    """Read as a socket would give it, at most `step` bytes at a time; the header, and what is left."""
    reader = HeaderReader()
    while reader.header is None and data:
        peeked = data[: step or header.PEEK]
        taken = reader.receive_data(peeked)
        assert 0 < taken <= len(peeked)
        data = data[taken:]
    return reader.header, data


GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n", V4),
    (b"PROXY TCP6 2001:DB8::1 2001:db8:0::2 4711 443\r\n", V6),
    (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ProxyHeader(relayed=True, source=("255.255.255.255", 65535), destination=("255.255.255.255", 65535)),
    ),
    (
        b"PROXY TCP6 ::ffff:192.0.2.1 ::1 0 0\r\n",
        ProxyHeader(relayed=True, source=("192.0.2.1", 0), destination=("::1", 0)),
    ),
    (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", ProxyHeader()),
    (v2(), V4),
    (v2(V6_BLOCK, family=0x21), V6),
    (v2(UNIX_BLOCK, family=0x31), ProxyHeader(relayed=True)),
    (v2(b"", command=0x20, family=0), ProxyHeader()),
    (v2(b"anything", command=0x20, family=0xFF), ProxyHeader()),
    (v2(b"", family=0), ProxyHeader()),
    (v2(b"anything", family=0), ProxyHeader()),
    (v2(more=vector(4, b"")), V4),
    (v2(more=vector(1, b"h2") + vector(0xEE, bytes(300))), V4),
    (v2(more=vector(0x20, b"\x01" + bytes(4))), replace(V4, tls=True)),
    (v2(UNIX_BLOCK, family=0x31, more=vector(0x20, b"\x07" + bytes(9))), ProxyHeader(relayed=True, tls=True)),
    (v2(more=vector(0x20, b"\x00" + bytes(4))), V4),
    (v2(more=vector(0x20, b"\x06" + bytes(4))), V4),
    (with_checksum(), V4),
    (with_checksum(before=vector(1, b"h2"), behind=vector(4, b"xyz")), V4),
]


@pytest.mark.parametrize("step", [None, 1, 2, 15, 17])
@pytest.mark.parametrize(("data", "expected"), GOOD)
def test_not_a_byte_behind_the_header_is_taken(data, expected, step):
    assert read(data + b"GET / HTTP/1.1\r\n\r\n", step) == (expected, b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(("data", "expected"), GOOD)
def test_an_incomplete_header_is_none(data, expected):
    for cut in range(1, len(data)):
        assert read(data[:cut]) == (None, b"")


BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"\n",
    b"proxy TCP4 192.0.2.1 198.51.100.2 4711 443\r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.2 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r \n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443 \r\n",
    b"PROXY TCP4 192.0.2.1  198.51.100.2 4711 443\r\n",
    b"PROXY TCP4\t192.0.2.1 198.51.100.2 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443 1\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 04711 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
    b"PROXY TCP4 192.0.2.01 198.51.100.2 1 443\r\n",
    b"PROXY TCP4 ::1 ::2 1 443\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n",
    b"PROXY TCP6 ::1 198.51.100.2 1 443\r\n",
    b"PROXY TCP6 [::1] ::2 1 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::2 1 443\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN a\rb\r\n",
    b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    b"PROXY UNKNOWN " + b"f" * 200,
    b"\r\n\r\n\x00\r\nQUIT\r",
    SIGNATURE + b"\x11\x11\x00\x0c" + V4_BLOCK,
    SIGNATURE + b"\x31\x11\x00\x0c" + V4_BLOCK,
    v2(command=0x22),
    v2(command=0x2F),
    v2(family=0x10),
    v2(family=0x12),
    v2(family=0x13),
    v2(family=0x01),
    v2(family=0x41),
    v2(V6_BLOCK, family=0x22),
    v2(V4_BLOCK, family=0x21),
    v2(V4_BLOCK[:-1]),
    v2(b""),
    v2(UNIX_BLOCK[:-1], family=0x31),
    v2(length=4081),
    v2(length=0xFFFF),
    v2(more=b"\x04"),
    v2(more=b"\x04\x00"),
    v2(more=b"\x04\x00\x01"),
    v2(more=vector(4, b"") + b"\x04\x01\x00x"),
    v2(more=vector(0x20, b"\x01" + bytes(3))),
    v2(more=vector(3, bytes(4))),
    v2(more=vector(3, bytes(3))),
    v2(more=vector(3, b"")),
    with_checksum()[:-1] + b"\xff",
    with_checksum().replace(bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9])),
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_not_exactly_a_header_is_refused(data):
    with pytest.raises(RemoteProtocolError):
        read(data)
    with pytest.raises(RemoteProtocolError):
        read(data, 1)


def test_a_long_header_that_is_allowed():
    more = vector(0xE0, bytes(4096 - 16 - len(V4_BLOCK) - 3))
    assert read(v2(more=more) + b"x") == (V4, b"x")


def test_the_checksum_is_that_of_rfc_3720():
    """Appendix B.4 there."""
    assert crc32c(bytes(32)).hex() == "8a9136aa"
    assert crc32c(b"\xff" * 32).hex() == "62a8ab43"
    assert crc32c(bytes(range(32))).hex() == "46dd794e"
    assert crc32c(b"123456789").hex() == "e3069283"


@settings(deadline=None)
@given(
    st.binary() | st.binary().map(SIGNATURE.__add__) | st.binary().map(b"PROXY ".__add__), st.integers(1, 300)
)
def test_any_bytes_are_a_header_or_refused_however_they_are_cut(data, step):
    def outcome(step):
        try:
            return read(data, step)
        except RemoteProtocolError as error:
            return str(error)

    assert outcome(step) == outcome(1)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 65535))
def test_both_versions_say_the_same(source, destination, source_port, destination_port):
    line = f"PROXY TCP4 {source} {destination} {source_port} {destination_port}\r\n".encode()
    block = source.packed + destination.packed + struct.pack("!HH", source_port, destination_port)
    expected = ProxyHeader(
        relayed=True, source=(str(source), source_port), destination=(str(destination), destination_port)
    )
    assert read(line) == read(v2(block)) == (expected, b"")
