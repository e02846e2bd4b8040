"""Whatever the bytes are and however they arrive: laws that hold for both parsers."""

from __future__ import annotations

from contextlib import suppress

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdserve.core.http.connection import Connection
from sdserve.core.http.options import HttpOptions
from sdserve.errors import RemoteProtocolError
from tests.core.http.cases import load
from tests.core.http.feeding import PARSERS, read

SMALL = {"max_request_line": 100, "max_field": 100, "max_fields": 6, "max_head": 300, "max_body": 100}
CORPUS = [case.data for kind in ("valid", "invalid") for case in load(kind) if len(case.data) < 400]

# Requests that are good, or have one fault: several of them would only hide each other.

GOOD = {
    "method": [b"GET", b"POST", b"HEAD", b"OPTIONS", b"BREW"],
    "target": [b"/", b"/a?b", b"//b", b"/%20", b"http://b/c?d", b"http://b", b"HTTP://b?x"],
    "version": [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2"],
    "host": [b"Host: a", b"Host:", b"host: [::1]:80", b"HOST: a.b:8000"],
    "field": [
        b"X: y",
        b"x:\t y z \t",
        b"X:",
        b"Cookie: a=b; c=d",
        b"X_Y: z",
        b"X: \xe9\xff",
        b"Connection: keep-alive",
        b"Connection: x, Close",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
    ],
    "length": [b"5", b"5", b"05", b"5, 5"],
    "coding": [b"chunked", b"chunked", b" Chunked\t"],
    "size": [b"5", b"5", b"05", b"5;a=b", b"5 ;a", b'5;a="b c"'],
    "chunk end": [b"\r\n"],
    "trailer": [b"", b"", b"X: y\r\n"],
    "line end": [b"\r\n"],
}
BAD = {
    "method": [b"CONNECT", b"G(T", b"G T", b""],
    "target": [b"*", b"b", b"/ ", b"/\x80", b"/#", b"", b"http://", b"/" * 90],
    "version": [b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1", b"HTTP/1.10", b""],
    "host": [b"X: y", b"Host: a, b", b"Host: a\r\nHost: a", b"Host: a b", b"Host: \xe9"],
    "field": [
        b"X : y",
        b" X: y",
        b"X",
        b": y",
        b"X\xe9: y",
        b"X: \0",
        b"X: \x0b",
        b"Expect: x",
        b"X: " + b"y" * 100,
        b"X: " + b"y" * 300,
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
    ],
    "length": [b"5,6", b"0", b"", b"+5", b"-5", b"5 5", b"101", b"9" * 30, b"\xd9\xa5", b"4", b"6"],
    "coding": [b"chunked, chunked", b"gzip, chunked", b"identity", b"", b"chunked;a"],
    "size": [b"5 ", b"+5", b"0x5", b"5;", b"", b"g", b"5" * 20, b"4", b"6", b"0", b"5;" + b"a" * 300],
    "chunk end": [b"\n", b"", b"x\r\n", b"\r"],
    "trailer": [b"X\r\n", b" X: y\r\n", b"GET / HTTP/1.1\r\n", b"X: y\n"],
    "line end": [b"\n", b"\r", b"\r\r\n", b"\r\n "],
}


@st.composite
def requests(draw):
    fault = draw(st.sampled_from([""] * len(BAD) + list(BAD)))

    def part(place):
        if place == fault and draw(st.booleans()):
            return draw(st.sampled_from(BAD[place]))
        return draw(st.sampled_from(GOOD[place]))

    line = b" ".join([part("method"), part("target"), part("version")])
    fields = [part("host"), *(part("field") for _ in range(draw(st.integers(0, 3))))]
    body = b""
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "length":
        fields.append(b"Content-Length: " + part("length"))
        body = b"hello"
    elif kind == "chunked":
        fields.append(b"Transfer-Encoding: " + part("coding"))
        chunks = [part("size") + b"\r\nhello" + part("chunk end") for _ in range(draw(st.integers(0, 3)))]
        body = b"".join(chunks) + b"0\r\n" + part("trailer") + b"\r\n"
    head = b"".join(piece + part("line end") for piece in [line, *draw(st.permutations(fields))])
    return head + part("line end") + body


streams = st.lists(requests(), min_size=1, max_size=3).map(b"".join)


@st.composite
def spoilt(draw):
    """A case of the corpus with some bytes changed, taken out or put in."""
    data = bytearray(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(data)))
        byte = draw(
            st.sampled_from([b"\r", b"\n", b"\0", b" ", b":", b",", b";", b"0", b"a", b"\xff", b"\r\n", b""])
        )
        data[position : position + draw(st.integers(0, 1))] = byte
    return bytes(data)


def cut(data, cuts):
    pieces = []
    for size in cuts:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


pieces_of = st.lists(st.integers(1, 40), max_size=20)


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=200, deadline=None)
@given(data=st.one_of(streams, spoilt()), cuts=pieces_of)
def test_however_the_bytes_are_cut_the_same_comes_out(parser, data, cuts):
    options = HttpOptions(parser=parser, **SMALL)
    whole, pieces = read(options, [data]), read(options, cut(data, cuts))
    assert (whole.error is None) == (pieces.error is None)
    if whole.error is None:
        assert whole.facts == pieces.facts
    else:
        # Of the body before a fault more may come out if it arrives before the fault does.
        assert [message.line for message in whole.messages] == [message.line for message in pieces.messages]
        for before, after in zip(whole.messages, pieces.messages, strict=True):
            assert after.body.startswith(before.body)


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(streams, spoilt()), cuts=pieces_of)
def test_both_parsers_see_the_same(data, cuts):
    pieces = cut(data, cuts)
    strict, other = (read(HttpOptions(parser=parser, **SMALL), pieces) for parser in PARSERS)
    assert strict.facts == other.facts
    assert (strict.error and strict.error.status) == (other.error and other.error.status)


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(CORPUS), spoilt()), max_size=4))
def test_no_bytes_cause_anything_but_a_protocol_error(parser, pieces):
    connection = Connection(HttpOptions(parser=parser, **SMALL), 0.0)
    with suppress(RemoteProtocolError):
        for piece in pieces:
            connection.receive_data(piece, 0.0)
            while connection.next_event(0.0) is not None:
                pass
    # What is buffered has a limit, whatever came.
    for _ in range(20):
        connection.receive_data(b"x" * 50, 0.0)
        with suppress(RemoteProtocolError):
            while connection.next_event(0.0) is not None:
                pass
    assert connection.must_close or connection.request is not None


def read_by_h11(data):
    """What h11 alone, with none of our rules around it, makes of one request."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return request, body


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(requests(), spoilt()))
def test_what_we_accept_means_the_same_to_another_implementation(data):
    """The other way round it is not so: h11 takes much that we refuse."""
    reading = read(HttpOptions(), [data])
    if reading.error is not None or not reading.messages or reading.messages[0].end_at is None:
        return
    if data.startswith(b"\r\n") or b" ;" in data or b"\t;" in data or b"; " in data:
        return  # RFC 9112 sections 2.2 and 7.1.1 want these taken, and h11 does not
    message = reading.messages[0]
    request, body = read_by_h11(data)
    assert message.request.method.encode() == request.method
    assert message.request.target == request.target
    assert message.body == body
    if request.target.startswith((b"/", b"*")):
        assert [
            (name, value.lower() if name == b"transfer-encoding" else value)
            for name, value in message.request.fields
        ] == list(request.headers)


@given(st.lists(requests(), min_size=1, max_size=3), st.data())
@pytest.mark.parametrize("parser", PARSERS)
def test_a_move_in_between_changes_nothing(parser, parts, data):
    """Wherever a connection may go on as another one, that one sees what the first would have seen."""
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    options = HttpOptions(parser=parser, **SMALL)
    stayed = Connection(options, 0.0)
    before = events_of(stayed, whole[:cut])
    if not stayed.movable:
        return
    moved = Connection(options, 0.0)
    moved.resume(stayed.unused, stayed.requests, stayed.deadline)
    assert (moved.idle, moved.deadline) == (stayed.idle, stayed.deadline)
    after = events_of(moved, whole[cut:])
    assert before + after == before + events_of(stayed, whole[cut:])
    assert moved.requests == stayed.requests
    assert moved.must_close == stayed.must_close


def events_of(connection, data):
    """What comes out, each request answered at once."""
    seen = []
    if data:
        connection.receive_data(data, 1.0)
    try:
        while (event := connection.next_event(1.0)) is not None:
            if isinstance(event, bytes):
                seen.append(event)
                if event:
                    continue
            else:
                seen.append((event.method, event.target, event.fields, event.length, event.minor))
                if event.length:
                    continue
            connection.send_response(b"HTTP/1.1 200 OK", [], b"x", False, (b"", b""), 1.0)
    except RemoteProtocolError as error:
        seen.append((error.status, str(error)))
    return seen
