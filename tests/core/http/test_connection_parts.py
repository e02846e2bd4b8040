"""The rarer parts of an answer: early hints, trailers, and bodies that go out past the connection."""

from __future__ import annotations

import pytest

from sdserve.core.http.connection import Connection
from sdserve.core.http.options import HttpOptions
from sdserve.errors import LocalProtocolError
from tests.core.http.dialogue import EXPECTING, REQUEST, Answer, Dialogue, post

HTTP10 = b"GET / HTTP/1.0\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
LINK = (b"link", b"</a>; rel=preload")
DIGEST = (b"digest", b"x")


def begun(request=REQUEST):
    dialogue = Dialogue()
    dialogue.receive(request)
    return dialogue


# Early hints (RFC 8297)


def test_early_hints_come_before_the_response():
    dialogue = begun()
    for _ in range(2):
        assert dialogue.connection.send_early_hints([LINK]) == (
            b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
        )
    assert dialogue.answer(body=b"x").fields[b"content-length"] == b"1"


def test_a_client_that_waits_for_100_gets_both():
    dialogue = begun(EXPECTING)
    assert dialogue.connection.send_early_hints([LINK])
    assert dialogue.connection.send_continue(dialogue.now)


def test_http10_knows_no_interim_response():
    """RFC 9110 section 15.2."""
    dialogue = begun(HTTP10)
    assert dialogue.connection.send_early_hints([LINK]) == b""
    with pytest.raises(LocalProtocolError):
        dialogue.connection.send_early_hints([(b"connection", b"close")])


def test_there_are_no_early_hints_once_the_response_has_begun():
    dialogue = begun()
    dialogue.start(body=b"x", more=True)
    with pytest.raises(LocalProtocolError, match="after the response"):
        dialogue.connection.send_early_hints([LINK])
    dialogue.data(b"", more=False)
    with pytest.raises(LocalProtocolError, match="after the response"):
        dialogue.connection.send_early_hints([LINK])
    with pytest.raises(LocalProtocolError, match="after the response"):
        Connection(HttpOptions(), 0.0).send_early_hints([LINK])


# Trailers (RFC 9112 section 7.1.2)


def test_trailers_end_a_chunked_response():
    dialogue = begun()
    dialogue.start(body=b"x", more=True)
    assert dialogue.connection.send_trailers([DIGEST], dialogue.now) == b"0\r\ndigest: x\r\n\r\n"
    assert dialogue.connection.response_complete
    assert len(dialogue.receive(REQUEST)) == 1


def test_no_trailers_are_the_end_as_well():
    dialogue = begun()
    dialogue.start(more=True)
    assert dialogue.connection.send_trailers([], dialogue.now) == b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status", "fields"),
    [
        (REQUEST, 200, [(b"content-length", b"0")]),
        (REQUEST, 204, []),
        (REQUEST, 304, []),
        (HEAD, 200, []),
        (HTTP10, 200, []),
    ],
)
def test_trailers_are_dropped_where_there_are_no_chunks(request_bytes, status, fields):
    dialogue = begun(request_bytes)
    dialogue.start(status, fields, more=True)
    assert dialogue.connection.send_trailers([DIGEST], dialogue.now) == b""
    assert dialogue.connection.response_complete


def test_a_response_short_of_its_length_is_not_mended_by_trailers():
    dialogue = begun()
    dialogue.start(fields=[(b"content-length", b"5")], more=True)
    assert dialogue.connection.send_trailers([DIGEST], dialogue.now) == b""
    assert "5 bytes less" in dialogue.connection.complaint
    assert dialogue.connection.must_close


def test_nothing_is_sent_of_a_bad_trailer():
    dialogue = begun()
    dialogue.start(more=True)
    with pytest.raises(LocalProtocolError):
        dialogue.connection.send_trailers([(b"content-length", b"1")], dialogue.now)
    assert not dialogue.connection.response_complete
    assert dialogue.connection.send_trailers([DIGEST], dialogue.now)


# Parts of no response


def before_a_request(dialogue):
    pass


def before_the_response(dialogue):
    dialogue.receive(REQUEST)


def after_the_response(dialogue):
    dialogue.receive(REQUEST)
    dialogue.answer(body=b"x")


def after_a_stream(dialogue):
    dialogue.receive(REQUEST)
    dialogue.start(more=True)
    dialogue.data(b"x", more=False)


def after_a_response_before_its_request_has_ended(dialogue):
    dialogue.receive(post(3))
    dialogue.start(more=True)
    dialogue.data(b"x", more=False)


def in_the_next_request(dialogue):
    after_a_stream(dialogue)
    dialogue.receive(REQUEST)


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize(
    "outside",
    [
        before_a_request,
        before_the_response,
        after_the_response,
        after_a_stream,
        after_a_response_before_its_request_has_ended,
        in_the_next_request,
    ],
)
def test_a_part_outside_of_a_response_is_refused(outside, more):
    dialogue = Dialogue()
    outside(dialogue)
    connection = dialogue.connection
    with pytest.raises(LocalProtocolError, match="outside of its response"):
        dialogue.data(b"x", more=more)
    with pytest.raises(LocalProtocolError, match="outside of its response"):
        connection.send_trailers([DIGEST], dialogue.now)
    if connection.answering:
        assert dialogue.answer(body=b"x").body == b"x"
    assert not connection.must_close


# Bodies that go out past the connection


def test_a_body_of_known_length_may_go_out_as_it_is():
    dialogue = begun()
    dialogue.start(fields=[(b"content-length", b"10")], body=b"abc", more=True)
    connection = dialogue.connection
    assert connection.plain_room(5) == 5
    connection.plain_sent(5)
    assert connection.complaint == ""
    assert connection.plain_room(5) == 2
    assert "more than its Content-Length" in connection.complaint
    connection.plain_sent(2)
    assert connection.filled
    assert dialogue.data(b"", more=False) == b""
    assert not connection.must_close


def test_a_body_that_is_too_short_ends_the_connection():
    dialogue = begun()
    dialogue.start(fields=[(b"content-length", b"10")], more=True)
    dialogue.connection.plain_sent(dialogue.connection.plain_room(4))
    dialogue.data(b"", more=False)
    assert "6 bytes less" in dialogue.connection.complaint
    assert dialogue.connection.must_close


def test_a_body_in_chunks_may_not():
    dialogue = begun()
    dialogue.start(more=True)
    assert dialogue.connection.plain_room(5) == -1


def test_a_body_that_ends_with_the_connection_may_go_out_as_it_is():
    dialogue = begun(HTTP10)
    dialogue.start(more=True)
    assert dialogue.connection.plain_room(5) == 5
    dialogue.connection.plain_sent(5)
    assert dialogue.data(b"", more=False) == b""


@pytest.mark.parametrize(("request_bytes", "status"), [(HEAD, 200), (REQUEST, 204), (REQUEST, 304)])
def test_nothing_goes_out_where_there_is_no_body(request_bytes, status):
    dialogue = begun(request_bytes)
    Answer.of(dialogue.start(status, [(b"content-length", b"10")], more=True))
    connection = dialogue.connection
    assert connection.bodiless
    assert connection.plain_room(10) == 0
    dialogue.data(b"", more=False)
    assert connection.complaint == ""
    assert not connection.must_close


# What a connection says of itself


@pytest.mark.parametrize(
    ("request_bytes", "fields", "expected"),
    [
        (HTTP10, [], True),
        (HTTP10, [(b"content-length", b"10")], False),
        (HTTP10.replace(b"GET", b"HEAD"), [], False),
        (REQUEST, [], False),
    ],
)
def test_only_http10_without_a_length_ends_with_the_connection(request_bytes, fields, expected):
    dialogue = begun(request_bytes)
    connection = dialogue.connection
    assert not connection.open_ended
    dialogue.start(fields=fields, more=True)
    assert connection.open_ended is expected
    dialogue.data(bytes(10), more=False)
    assert not connection.open_ended


def test_a_connection_is_idle_between_two_requests():
    dialogue = Dialogue()
    assert not dialogue.connection.idle  # its first request is on its way
    for sent in (REQUEST[:5], REQUEST[5:]):
        dialogue.receive(sent)
        assert not dialogue.connection.idle
    dialogue.answer()
    assert dialogue.connection.idle


# Another protocol (RFC 9110 section 7.8)


def test_what_stands_behind_an_upgrade_belongs_to_the_next_protocol():
    dialogue = begun(REQUEST + b"\x81\x80")
    assert dialogue.connection.leave() == b"\x81\x80"
    assert dialogue.connection.leave() == b""
    assert dialogue.receive(REQUEST) == []
    assert not dialogue.connection.must_close
    assert not dialogue.connection.movable
