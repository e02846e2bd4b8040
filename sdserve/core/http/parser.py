"""The one interface of both parsers, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sdserve.core.http.head_buffer import HeadBuffer
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import Request
from sdserve.core.http.strict import StrictParser


class Parser(Protocol):
    """Bytes to requests and bodies.

    Feed `input.receive_data`, then ask `next_request` until it answers; then `next_body` until it is b"",
    which a request whose `length` is 0 may skip; then `next_request` again. Both return None if more bytes
    are needed. After a RemoteProtocolError nothing may be asked any more.
    """

    input: HeadBuffer

    def next_request(self) -> Request | None:
        """Return the next request's head, or None."""

    def next_body(self) -> bytes | None:
        """Return a piece of the body, b"" at its end, or None."""


def _h11_parser(options: HttpOptions) -> Parser:
    # Imported only where it is chosen: it is 2 MB that the default does not need.
    from sdserve.core.http.h11_parser import H11Parser

    return H11Parser(options)


_PARSERS: dict[str, Callable[[HttpOptions], Parser]] = {"strict": StrictParser, "h11": _h11_parser}


def make_parser(options: HttpOptions) -> Parser:
    """Return a new parser of the kind that `options.parser` names."""
    return _PARSERS[options.parser](options)
