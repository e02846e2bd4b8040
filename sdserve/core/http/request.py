"""A request's head after all rules have been applied: what both parsers produce and everybody above reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdserve.core.proxy.origin import Origin

CHUNKED = -1
"""`Request.length` of a body in chunks."""

Field = tuple[bytes, bytes]
"""A field: its name in lower case, its value without surrounding white space."""


class Request:
    """One request head.

    A plain slotted class, because one is made per request. `method` and `target` are as received; `path`
    is the target's path, still percent-encoded, and `query` what follows the first `?`. `fields` keep their
    order and duplicates (RFC 9110 section 5.3); in absolute-form the target's authority has replaced `host`.
    `length` is the body's: 0 for none, `CHUNKED`, or the Content-Length. `keep_alive` says that the client
    lets the connection persist, `expects_continue` that it waits for 100 (Continue) to send the body.
    `proxied` are those of `fields` by which proxies tell about their clients, None if there are none;
    `origin` is what was made of them, None if all is as the connection says.
    """

    __slots__ = (
        "expects_continue",
        "fields",
        "keep_alive",
        "length",
        "method",
        "minor",
        "origin",
        "path",
        "proxied",
        "query",
        "target",
        "upgrade",
    )

    def __init__(self, method: str, target: bytes, minor: int, fields: list[Field]) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.path, _, self.query = target.partition(b"?")
        self.length = 0
        self.keep_alive = minor == 1
        self.expects_continue = False
        self.upgrade = b""
        self.proxied: list[Field] | None = None
        self.origin: Origin | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target!r} HTTP/1.{self.minor} length={self.length}>"
