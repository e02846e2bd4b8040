"""What holds for every stream of bytes, whatever is in it and however it arrives.

`check` holds the parsers and the connection against all of it; `BrokenLawError` says which law did not hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sdserve.core.http.connection import Connection
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import CHUNKED, Request
from sdserve.core.http.response import make_standing
from sdserve.errors import RemoteProtocolError
from tests.core.http.feeding import PARSERS, Message, Reading, each_byte, read
from tests.fuzz.generate import Meant
from tests.fuzz.reference import read_all

LIMITS = {"max_request_line": 100, "max_field": 100, "max_fields": 8, "max_head": 400, "max_body": 100}
"""Small enough for a stream of chance to reach them."""
BUFFERED = 512
"""Bytes that may wait in a parser that has been asked: a head, or a chunk-size line, that is not complete."""
BEHIND = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
STANDING = make_standing("Thu, 01 Jan 1970 00:00:00 GMT", "")

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
_TARGET = re.compile(rb"[!-\"$-~]+")


class BrokenLawError(Exception):
    """A law did not hold."""


def options_for(parser: str) -> HttpOptions:
    return HttpOptions(parser=parser, **LIMITS)


def insist(holds: bool, law: str) -> None:
    if not holds:
        raise BrokenLawError(law)


def check(data: bytes, pieces: Sequence[bytes], meaning: list[Meant] | None, *, each: bool = False) -> None:
    """Check every law for `data`, which arrives whole and in `pieces`; with `each` also byte by byte."""
    try:
        readings = [_check_parser(parser, data, pieces, each) for parser in PARSERS]
        _check_same(*readings)
        _check_framing(readings[0], data)
        if meaning is not None:
            _check_meaning(readings[0], meaning)
        for parser in PARSERS:
            whole, split = (Exchanges(options_for(parser)).answers(arrival) for arrival in ([data], pieces))
            insist(outcome(whole) == outcome(split), f"{parser}: the answers depend on how the bytes arrive")
    except (BrokenLawError, RecursionError, MemoryError):
        raise
    except Exception as error:
        raise BrokenLawError(f"an exception that is no RemoteProtocolError: {error!r}") from error


def _check_parser(parser: str, data: bytes, pieces: Sequence[bytes], each: bool) -> Reading:
    whole = read(options_for(parser), [data])
    for arrival in (pieces, each_byte(data)) if each else (pieces,):
        split = _read_bounded(parser, arrival)
        # Which of several faults is seen first depends on what has arrived; that there is one does not.
        insist((whole.error is None) == (split.error is None), f"{parser}: refused or not, as it arrives")
        insist(
            [message.line for message in whole.messages] == [message.line for message in split.messages],
            f"{parser}: the requests depend on how the bytes arrive",
        )
        for one, other in zip(whole.messages, split.messages, strict=True):
            # What stands before a fault comes out earlier if it arrives earlier.
            same = one.body == other.body if whole.error is None else other.body.startswith(one.body)
            insist(same, f"{parser}: a body depends on how the bytes arrive")
    for message in whole.messages:
        _check_grammar(message)
    return whole


def _read_bounded(parser: str, arrival: Sequence[bytes]) -> Reading:
    reading = Reading(options_for(parser))
    for piece in arrival:
        reading.feed(piece)
        if reading.error is None:
            insist(len(reading.parser.input.data) <= BUFFERED, f"{parser}: more waits than the limits allow")
    return reading


def outcome(statuses: Sequence[int]) -> tuple[int, bool]:
    """How many requests were answered, and whether a refusal followed."""
    refused = bool(statuses) and statuses[-1] != 200
    return len(statuses) - refused, refused


def _status(reading: Reading) -> int:
    return reading.error.status if reading.error is not None else 0


def _check_grammar(message: Message) -> None:
    """A request that has come out is a good one, by rules that are written here a second time."""
    request = message.request
    fields = request.fields
    insist(_TOKEN.fullmatch(request.method.encode()) is not None, "a method that is no token")
    insist(_TARGET.fullmatch(request.target) is not None, "a target with what no target has")
    insist(request.minor in (0, 1), "a version that is not ours")
    insist(len(fields) <= LIMITS["max_fields"] + 1, "more fields than allowed")
    for name, value in fields:
        insist(_TOKEN.fullmatch(name) is not None and name == name.lower(), "a name that is no token")
        insist(
            _VALUE.fullmatch(value) is not None, "a value with a control character or white space around it"
        )
    names = [name for name, _ in fields]
    insist(names.count(b"host") == 1 or (request.minor == 0 and b"host" not in names), "not one Host")
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    lengths = [value for name, value in fields if name == b"content-length"]
    if codings:
        insist(
            codings == [b"chunked"] and not lengths and request.minor == 1,
            "framing that can be read in two ways",
        )
        insist(request.length == CHUNKED, "chunks that are not read as such")
    elif lengths:
        insist(
            len(lengths) == 1 and re.fullmatch(rb"[0-9]+", lengths[0]) is not None,
            "a length that is no number",
        )
        insist(request.length == int(lengths[0]), "another length than the field says")
        insist(message.end_at is None or len(message.body) == request.length, "a body of another length")
    else:
        insist(request.length == 0, "a body out of nowhere")
    insist(len(message.body) <= LIMITS["max_body"], "a body larger than allowed")


def _check_same(strict: Reading, other: Reading) -> None:
    insist(strict.facts == other.facts, "the parsers see different requests")
    insist(
        _status(strict) == _status(other), f"the parsers refuse with {_status(strict)} and {_status(other)}"
    )


def _check_framing(reading: Reading, data: bytes) -> None:
    """Where one request ends and the next begins is what smuggling is about: a third reader has to agree."""
    complete = [message for message in reading.messages if message.end_at is not None]
    found = [Meant(message.request.method, message.request.target, message.body) for message in complete]
    insist(found == read_all(data)[: len(found)], "a request begins or ends where none does")


def _check_meaning(reading: Reading, meaning: list[Meant]) -> None:
    if reading.error is not None and reading.error.status in (413, 414, 431):
        return  # more than the limits allow, but not wrong
    insist(reading.error is None, f"a good stream is refused: {reading.error}")
    found = [
        Meant(message.request.method, message.request.target, message.body) for message in reading.messages
    ]
    insist(found == meaning, "a good stream is read otherwise than it was meant")


class Exchanges:
    """A connection whose requests are all answered with 200 as soon as they are complete."""

    def __init__(self, options: HttpOptions) -> None:
        self._connection = Connection(options, 0.0)
        self._statuses: list[int] = []

    def answers(self, pieces: Sequence[bytes]) -> list[int]:
        """The statuses of all answers to `pieces`; the last may be a refusal."""
        for piece in pieces:
            self._connection.receive_data(piece, 0.0)
            if not self._ask(len(piece)):
                self._check_silent()
                break
        return self._statuses

    def _ask(self, size: int) -> bool:
        """Take all events; False once the connection has to be closed."""
        connection = self._connection
        steps = 0
        while True:
            steps += 1
            # A request or a piece of a body uses up bytes, and so does the end of a body but once a request.
            insist(steps <= 2 * (size + BUFFERED) + 4, "it goes on without an end")
            try:
                event = connection.next_event(0.0)
            except RemoteProtocolError as error:
                self._refuse(error)
                return False
            if event is None:
                return not connection.must_close
            complete = event.length == 0 if isinstance(event, Request) else not event
            if complete:
                connection.send_response(b"HTTP/1.1 200 OK", [], b"ok", False, STANDING, 0.0)
                self._statuses.append(200)

    def _refuse(self, error: RemoteProtocolError) -> None:
        answer = self._connection.send_error(error.status, STANDING)
        insist(answer.startswith(b"HTTP/1.1 %d " % error.status), "a refusal without an answer")
        insist(answer.count(b"HTTP/") == 1, "more than one answer to a broken request")
        self._statuses.append(error.status)

    def _check_silent(self) -> None:
        connection = self._connection
        insist(connection.must_close, "open after its end")
        for data in (BEHIND, b"\r\n\r\n" + BEHIND):
            connection.receive_data(data, 0.0)
            insist(connection.next_event(0.0) is None, "something is parsed after the end")
