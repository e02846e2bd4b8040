"""Addresses as an operator writes them: `HOST:PORT`, `[V6]:PORT`, `unix:/path`."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

_LONGEST_PATH = 107  # bytes; sun_path of unix(7) has 108, the last of them NUL


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host, by name or by number and without brackets, and a port; 0 lets the kernel choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """An absolute path."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


def parse(text: str) -> Address:
    """Read one address. ValueError, with a sentence for the operator, if it is none."""
    if text.startswith("unix:"):
        return _parse_unix(text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{text!r} is none of HOST:PORT, [IPV6]:PORT and unix:/path")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{port!r} is no port: a number from 0 to 65535 is")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(f"{host!r} is no IPv6 address") from None
    elif ":" in host:
        raise ValueError(f"an IPv6 address stands in brackets: [{host}]:{port}")
    return TcpAddress(host, int(port))


def describe(name: Any, family: int) -> str:
    """A socket's name or its peer's, as getsockname() and getpeername() give it, as an operator writes it."""
    if family != socket.AF_UNIX:
        return str(TcpAddress(name[0], name[1]))
    # An abstract name is bytes with a leading NUL, written with @ (unix(7), systemd.socket(5)).
    text = name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
    return f"unix:{text.replace(chr(0), '@', 1)}"


def _parse_unix(path: str) -> UnixAddress:
    if not path.startswith("/"):
        raise ValueError(f"the path of a unix socket is absolute: unix:/run/NAME.sock, not {path!r}")
    if len(path.encode(errors="surrogateescape")) > _LONGEST_PATH:
        raise ValueError(f"the path of a unix socket has at most {_LONGEST_PATH} bytes: {path}")
    return UnixAddress(path)
