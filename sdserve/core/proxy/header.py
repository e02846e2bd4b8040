"""The PROXY protocol, versions 1 and 2: what a proxy says about a connection before its first byte.

https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt ("the spec" below)

Laws: whether there is a header is configured and never guessed; whatever does not match the spec exactly
refuses the connection; not one byte behind the header is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from sdserve.core.proxy.nodes import plain
from sdserve.errors import RemoteProtocolError

Endpoint = tuple[str, int]

PEEK = 256
"""How many bytes to look at at a time: most headers are whole then."""

_SIGNATURE_1 = b"PROXY "
_LONGEST_1 = 107
"""Bytes of a line with its CRLF (section 2.1)."""
_TCP = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
)
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")

_SIGNATURE_2 = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED_2 = 16
"""Bytes of signature, version with command, family with protocol, and length (section 2.2)."""
_LONGEST_2 = 4096
"""The length field allows 64 KiB; what proxies send, certificates' names included, is a tenth of this."""
_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESS_SIZES = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}
_TLV_CRC32C, _TLV_SSL = 0x03, 0x20
_CLIENT_SSL = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHeader:
    """What a header says of the connection that the proxy has relayed."""

    relayed: bool = False
    """False: the proxy speaks for itself, or does not know for whom; there are no addresses then."""
    source: Endpoint | None = None
    """Who connected to the proxy; None, also if relayed, for a client without an IP address."""
    destination: Endpoint | None = None
    """Where that was."""
    tls: bool = False
    """Whether it did so by TLS."""


class HeaderReader:
    """Takes a header off the front of a connection.

    Look at the next `PEEK` bytes of the socket without taking them; `receive_data` says how many of them to
    take; go on until `header` is set.
    """

    __slots__ = ("_data", "header")

    def __init__(self) -> None:
        self._data = b""
        self.header: ProxyHeader | None = None

    def receive_data(self, peeked: bytes) -> int:
        """Return how many of the bytes that come next belong to the header, at least one.

        Raises:
            RemoteProtocolError: this is no header; close the connection without an answer (section 2).
        """
        data = self._data + peeked
        size = _size(data)
        self._data = data[:size] if size else data
        taken = len(peeked) - (len(data) - len(self._data))
        if size and len(self._data) == size:
            parse = _parse_1 if data.startswith(_SIGNATURE_1) else _parse_2
            self.header = parse(self._data)
        return taken


def _size(data: bytes) -> int:
    """Return how long the header is that begins with `data`, 0 if that cannot be told yet."""
    if data[: len(_SIGNATURE_1)] == _SIGNATURE_1[: len(data)]:
        end = data.find(b"\n", 0, _LONGEST_1)
        if end < 0 and len(data) >= _LONGEST_1:
            raise RemoteProtocolError("a PROXY line that is too long")
        return end + 1
    if data[: len(_SIGNATURE_2)] != _SIGNATURE_2[: len(data)]:
        raise RemoteProtocolError("no PROXY header")
    if len(data) < _FIXED_2:
        return 0
    size = _FIXED_2 + int.from_bytes(data[14:16], "big")
    if size > _LONGEST_2:
        raise RemoteProtocolError(f"a PROXY header of more than {_LONGEST_2} bytes")
    return size


def _parse_1(line: bytes) -> ProxyHeader:
    """Section 2.1."""
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader()
    match = _TCP.fullmatch(line)
    if match is None:
        raise RemoteProtocolError("a malformed PROXY line")
    family, *hosts = match[1], match[2].decode("ascii"), match[3].decode("ascii")
    ports = int(match[4]), int(match[5])
    try:
        addresses = [ip_address(host) for host in hosts]
    except ValueError:
        raise RemoteProtocolError("a PROXY line with a bad address") from None
    if any(address.version != (4 if family == b"TCP4" else 6) for address in addresses) or max(ports) > 65535:
        raise RemoteProtocolError("a PROXY line with a bad address")
    source, destination = (
        (str(plain(address)), port) for address, port in zip(addresses, ports, strict=True)
    )
    return ProxyHeader(relayed=True, source=source, destination=destination)


def _parse_2(header: bytes) -> ProxyHeader:
    """Section 2.2."""
    command, family = header[12], header[13]
    if command == _LOCAL:
        return ProxyHeader()
    if command != _PROXY:
        raise RemoteProtocolError("a PROXY header of an unknown version or command")
    # UDP is valid there too, and cannot be what carries HTTP/1.1.
    size = _ADDRESS_SIZES.get(family)
    if size is None or len(header) < _FIXED_2 + size:
        raise RemoteProtocolError("a PROXY header with addresses of a bad kind or length")
    if family == _UNSPEC:
        return ProxyHeader()
    tls = _check_vectors(header, _FIXED_2 + size)
    if family == _UNIX:
        return ProxyHeader(relayed=True, tls=tls)
    block = header[_FIXED_2 : _FIXED_2 + size]
    kind = IPv4Address if family == _TCP4 else IPv6Address
    width = (size - 4) // 2
    source, destination = (
        (str(plain(kind(block[start : start + width]))), int.from_bytes(block[port : port + 2], "big"))
        for start, port in ((0, size - 4), (width, size - 2))
    )
    return ProxyHeader(relayed=True, source=source, destination=destination, tls=tls)


def _check_vectors(header: bytes, start: int) -> bool:
    """Walk through the type-length-value vectors; return whether one says that the client used TLS."""
    tls = False
    while start < len(header):
        kind, value = header[start], start + 3
        end = value + int.from_bytes(header[start + 1 : value], "big")
        if end > len(header) or value > len(header):
            raise RemoteProtocolError("a PROXY header whose vectors do not fit")
        if kind == _TLV_CRC32C:
            _check_checksum(header, value, end)
        elif kind == _TLV_SSL:
            if end - value < 5:
                raise RemoteProtocolError("a PROXY header with a malformed TLS vector")
            tls = bool(header[value] & _CLIENT_SSL)
        start = end
    return tls


def _check_checksum(header: bytes, start: int, end: int) -> None:
    """Section 2.2.3: it was computed with zeros in its own place."""
    if end - start != 4 or header[start:end] != crc32c(header[:start] + bytes(4) + header[end:]):
        raise RemoteProtocolError("a PROXY header with a wrong checksum")


def crc32c(data: bytes) -> bytes:
    """Return the four bytes of the Castagnoli checksum (RFC 9260, appendix A)."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "big")


@cache
def _crc32c_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
