"""One connection, as the shell sees it: what comes out, what goes out, and when it is over."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.http.connection import Connection
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.response import make_standing, status_line
from sdserve.errors import LocalProtocolError, RemoteProtocolError

STANDING = make_standing("then", "sdserve")
OWN = b"date: then\r\nserver: sdserve\r\n"
TEXT = (b"content-type", b"text/plain")

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


class Talk:
    """A connection with the shell's part of the work, and a clock that the test moves."""

    def __init__(self, **options):
        self.now = 0.0
        self.connection = Connection(HttpOptions(**options), self.now)

    def receive(self, data):
        """Feed `data` and return what comes out of it: methods of requests, pieces of bodies."""
        self.connection.receive_data(data, self.now)
        return self.events()

    def events(self):
        out = []
        while (event := self.connection.next_event(self.now)) is not None:
            out.append(event if isinstance(event, bytes) else event.method)
        return out

    def answer(self, body=b"", *fields, status=200, more=False):
        line = status_line(status)
        return self.connection.send_response(line, fields, body, more, STANDING, self.now)

    def send(self, body=b"", *, more=False):
        return self.connection.send_data(body, more, self.now)


@pytest.fixture(params=["strict", "h11"])
def talk(request):
    return Talk(parser=request.param)


# Exchanges


def test_a_request_and_its_answer(talk):
    assert talk.receive(GET) == ["GET"]
    assert talk.answer(b"hello", TEXT) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n" + OWN + b"\r\nhello"
    )
    assert talk.connection.response_complete
    assert not talk.connection.must_close
    assert talk.receive(GET) == ["GET"]
    assert talk.connection.requests == 2


def test_pipelined_requests_wait_for_the_answer_before_them(talk):
    assert talk.receive(GET + POST + b"hello" + HEAD) == ["GET"]
    assert talk.connection.pipelined
    talk.answer(b"1")
    assert talk.events() == ["POST", b"hello", b""]
    assert talk.events() == []
    talk.answer(b"2")
    assert talk.events() == ["HEAD"]
    talk.answer(b"3")
    assert talk.events() == []
    assert not talk.connection.pipelined


def test_a_body_in_pieces(talk):
    assert talk.receive(POST + b"he") == ["POST", b"he"]
    assert not talk.connection.answering
    assert talk.receive(b"llo") == [b"llo", b""]
    assert talk.connection.answering


def test_chunks(talk):
    assert talk.receive(CHUNKS + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") == ["POST", b"hello", b""]


# Answers


@pytest.mark.parametrize("status", [200, 404])
def test_head_gets_the_length_but_no_body(talk, status):
    talk.receive(HEAD)
    answer = talk.answer(b"hello", status=status)
    assert b"content-length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_head_without_a_body_says_nothing_about_its_length(talk):
    talk.receive(HEAD)
    assert b"content-length" not in talk.answer()


def test_head_of_a_stream(talk):
    talk.receive(HEAD)
    assert b"transfer-encoding: chunked" in talk.answer(more=True)
    assert talk.send(b"hello", more=True) == b""
    assert talk.send() == b""
    assert not talk.connection.must_close
    assert talk.receive(GET) == ["GET"]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("more", [False, True])
def test_answers_without_a_body(talk, status, more):
    talk.receive(GET)
    answer = talk.answer(b"", status=status, more=more)
    assert b"content-length" not in answer
    assert b"transfer-encoding" not in answer
    assert answer.endswith(b"\r\n\r\n")
    if more:
        assert talk.send(b"ignored") == b""
    assert talk.receive(GET) == ["GET"]


def test_a_stream_is_sent_in_chunks(talk):
    talk.receive(GET)
    head, _, body = talk.answer(b"hello", more=True).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"5\r\nhello\r\n"
    assert talk.send(b"", more=True) == b""
    assert talk.send(b"x" * 16, more=True) == b"10\r\n" + b"x" * 16 + b"\r\n"
    assert talk.send(b"bye") == b"3\r\nbye\r\n0\r\n\r\n"
    assert talk.receive(GET) == ["GET"]


def test_a_stream_may_end_without_a_last_piece(talk):
    talk.receive(GET)
    talk.answer(b"hello", more=True)
    assert talk.send() == b"0\r\n\r\n"


def test_a_stream_of_known_length_is_sent_as_it_is(talk):
    talk.receive(GET)
    assert talk.answer(b"he", (b"content-length", b"5"), more=True).endswith(b"\r\n\r\nhe")
    assert talk.send(b"llo", more=True) == b"llo"
    assert talk.send() == b""
    assert not talk.connection.complaint
    assert talk.receive(GET) == ["GET"]


def test_a_stream_to_an_old_client_ends_with_the_connection(talk):
    talk.receive(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = talk.answer(b"hello", more=True)
    assert b"transfer-encoding" not in answer
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nhello")
    assert talk.send(b"bye") == b"bye"
    assert talk.connection.must_close


@pytest.mark.parametrize("body", [bytearray(b"hello"), memoryview(b"hello")])
def test_bodies_of_other_kinds_of_bytes(talk, body):
    talk.receive(GET + GET)
    assert talk.answer(body).endswith(b"\r\n\r\nhello")
    talk.events()
    talk.answer(more=True)
    assert talk.send(body, more=True) == b"5\r\nhello\r\n"


def test_a_body_that_is_not_bytes_is_the_applications_error(talk):
    talk.receive(GET)
    with pytest.raises(LocalProtocolError, match="not bytes but str"):
        talk.answer("hello")
    assert not talk.connection.response_started


def test_a_bad_header_leaves_room_for_an_error(talk):
    talk.receive(GET)
    with pytest.raises(LocalProtocolError):
        talk.answer(b"hello", (b"x", b"a\r\nb: c"))
    assert not talk.connection.response_started
    assert talk.connection.send_error(500, STANDING).startswith(b"HTTP/1.1 500 ")


# Lengths that are not true


def test_what_is_longer_than_the_length_is_cut(talk):
    talk.receive(GET)
    assert talk.answer(b"hello, world", (b"content-length", b"5")).endswith(b"\r\n\r\nhello")
    assert "more than its Content-Length" in talk.connection.complaint
    assert not talk.connection.must_close
    assert talk.receive(GET) == ["GET"]
    assert not talk.connection.complaint


def test_after_less_than_the_length_the_connection_is_closed(talk):
    talk.receive(GET + GET)
    talk.answer(b"hel", (b"content-length", b"5"))
    assert "2 bytes less" in talk.connection.complaint
    assert talk.connection.must_close
    assert talk.events() == []


# Persistence


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (GET, None),
        (CLOSING, b"close"),
        (OLD, b"close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"keep-alive"),
    ],
)
def test_the_answer_says_whether_the_connection_persists(talk, request_, field):
    talk.receive(request_)
    answer = talk.answer(b"hello")
    if field is None:
        assert b"connection:" not in answer
    else:
        assert b"\r\nconnection: " + field + b"\r\n" in answer
    assert talk.connection.must_close is (field == b"close")


def test_the_application_may_close(talk):
    talk.receive(GET + GET)
    assert b"\r\nconnection: close\r\n" in talk.answer(b"", (b"Connection", b"close"))
    assert talk.connection.must_close
    assert talk.events() == []


def test_nothing_is_read_behind_a_request_that_closes(talk):
    assert talk.receive(CLOSING + GET) == ["GET"]
    talk.answer()
    assert talk.events() == []
    assert talk.receive(GET) == []
    assert not talk.connection.all_read, "bytes are left, so closing at once would reset the answer away"


def test_without_bytes_left_a_closed_connection_is_clean(talk):
    talk.receive(CLOSING)
    talk.answer()
    assert talk.connection.all_read


# 100 (Continue)


def test_the_client_is_asked_for_the_body_once(talk):
    assert talk.receive(EXPECTING) == ["POST"]
    assert talk.connection.send_continue(talk.now) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert talk.connection.send_continue(talk.now) == b""
    assert talk.receive(b"hello") == [b"hello", b""]
    assert b"connection:" not in talk.answer()


def test_a_client_that_did_not_wait_is_not_asked(talk):
    assert talk.receive(EXPECTING + b"he") == ["POST", b"he"]
    assert talk.connection.send_continue(talk.now) == b""


def test_a_body_that_is_complete_is_not_asked_for(talk):
    assert talk.receive(EXPECTING + b"hello") == ["POST", b"hello", b""]
    assert talk.connection.send_continue(talk.now) == b""
    assert b"connection:" not in talk.answer()


def test_nobody_else_is_asked(talk):
    assert talk.connection.send_continue(talk.now) == b""
    talk.receive(POST)
    assert talk.connection.send_continue(talk.now) == b""


def test_an_answer_instead_of_100_closes_as_the_body_may_still_come(talk):
    talk.receive(EXPECTING)
    assert b"\r\nconnection: close\r\n" in talk.answer(status=413)
    assert talk.connection.must_close
    assert talk.receive(b"hello" + GET) == []


def test_no_100_after_the_answer_has_begun(talk):
    talk.receive(EXPECTING)
    talk.answer(b"hello", more=True)
    assert talk.connection.send_continue(talk.now) == b""


# Bodies that nobody reads


def test_the_rest_of_a_small_body_is_thrown_away(talk):
    assert talk.receive(POST + b"he") == ["POST", b"he"]
    talk.answer(b"early")
    assert not talk.connection.must_close
    assert talk.receive(b"l") == []
    assert talk.receive(b"lo" + GET) == ["GET"]


def test_what_is_already_here_is_thrown_away_at_once(talk):
    talk.connection.receive_data(CHUNKS + b"5\r\nhello\r\n0\r\n\r\n" + GET, talk.now)
    assert talk.connection.next_event(talk.now).method == "POST"
    talk.answer(b"early")
    assert talk.events() == ["GET"]


def test_a_large_body_is_not_waited_for(talk):
    talk.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    talk.answer(b"early")
    assert talk.connection.must_close
    assert not talk.connection.all_read


def test_chunks_are_thrown_away_up_to_a_limit(talk):
    talk.receive(CHUNKS)
    talk.answer(b"early")
    assert not talk.connection.must_close
    for _ in range(9):
        talk.receive(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
    assert talk.connection.must_close


def test_a_body_that_turns_out_broken_while_it_is_thrown_away_closes(talk):
    talk.receive(CHUNKS)
    talk.answer(b"early")
    assert talk.receive(b"zz\r\n" + GET) == []
    assert talk.connection.must_close


# Errors


def test_after_an_error_nothing_is_parsed_any_more(talk):
    with pytest.raises(RemoteProtocolError):
        talk.receive(b"GET / HTTP/1.1\r\n\r\n" + GET)
    assert talk.connection.must_close
    assert talk.connection.deadline == inf
    assert talk.receive(GET) == []


def test_an_error_in_a_body(talk):
    talk.receive(CHUNKS)
    with pytest.raises(RemoteProtocolError):
        talk.receive(b"zz\r\n\r\n")
    assert talk.receive(GET) == []


def test_an_answer_may_end_after_an_error_in_the_body(talk):
    talk.receive(CHUNKS)
    talk.answer(b"hello", more=True)
    with pytest.raises(RemoteProtocolError):
        talk.receive(b"zz\r\n\r\n")
    talk.send()
    assert talk.connection.must_close


def test_an_error_answer_reflects_nothing(talk):
    talk.receive(b"GET /<script> HTTP/1.1\r\nHost: x\r\n\r\n")
    assert talk.connection.send_error(400, STANDING) == (
        b"HTTP/1.1 400 Bad Request\r\n" + OWN + b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: 16\r\nconnection: close\r\n\r\n400 Bad Request\n"
    )
    assert talk.connection.must_close


def test_an_error_answer_to_head_has_no_body(talk):
    talk.receive(HEAD)
    assert talk.connection.send_error(400, STANDING).endswith(b"\r\n\r\n")


def test_an_answer_that_has_begun_cannot_become_an_error(talk):
    talk.receive(GET)
    talk.answer(b"hello", more=True)
    assert talk.connection.send_error(500, STANDING) == b""
    assert talk.connection.must_close


# The client goes


@pytest.mark.parametrize("received", [b"", b"GET / HT", POST, POST + b"hel"])
def test_the_end_of_an_incomplete_request_is_the_end(talk, received):
    if received:
        talk.receive(received)
    talk.connection.receive_eof()
    assert talk.connection.must_close
    assert talk.receive(GET) == []


def test_a_complete_request_is_still_answered(talk):
    talk.receive(GET)
    talk.connection.receive_eof()
    assert b"\r\nconnection: close\r\n" in talk.answer(b"hello")
    assert talk.connection.must_close


# Deadlines


def test_the_head_has_one_deadline_that_bytes_do_not_move(talk):
    assert talk.connection.deadline == 15.0
    talk.now = 10.0
    for byte in GET[:-1]:
        talk.receive(bytes([byte]))
        talk.now += 0.1
    assert talk.connection.deadline == 25.0
    assert talk.connection.timed_out() == 408
    assert talk.connection.must_close


def test_silence_between_requests_is_closed_without_a_word(talk):
    talk.receive(GET)
    talk.now = 5.0
    talk.answer()
    assert talk.connection.deadline == 80.0
    assert talk.connection.timed_out() == 0
    assert talk.connection.must_close


def test_empty_lines_are_no_request_and_do_not_keep_a_connection_open(talk):
    for _ in range(20):
        assert talk.receive(b"\r\n") == []
        talk.now += 1
    assert talk.connection.deadline == 15.0
    assert talk.connection.timed_out() == 0


def test_a_body_has_a_deadline_that_bytes_move(talk):
    talk.receive(POST)
    assert talk.connection.deadline == 30.0
    talk.now = 20.0
    talk.receive(b"h")
    assert talk.connection.deadline == 50.0
    assert talk.connection.timed_out() == 408


def test_a_body_that_is_late_while_it_is_answered_is_cut_without_a_word(talk):
    talk.receive(POST)
    talk.answer(b"hello", more=True)
    assert talk.connection.timed_out() == 0


def test_the_application_has_all_the_time_it_wants(talk):
    talk.receive(POST + b"hello")
    assert talk.connection.deadline == inf


def test_a_client_that_waits_for_100_is_not_late(talk):
    talk.receive(EXPECTING)
    assert talk.connection.deadline == inf
    talk.now = 7.0
    talk.connection.send_continue(talk.now)
    assert talk.connection.deadline == 37.0


@pytest.mark.parametrize(
    ("received", "deadline"),
    [(b"", 175.0), (b"GET / HT", 115.0), (POST, 130.0), (GET, inf)],
)
def test_a_client_is_not_blamed_for_the_time_in_which_nobody_read(talk, received, deadline):
    if received:
        talk.receive(received)
    talk.now = 100.0
    talk.connection.restart_deadline(talk.now)
    assert talk.connection.deadline == deadline


def test_the_next_request_that_is_here_already_has_the_deadline_of_a_head(talk):
    talk.receive(GET + b"GET / HT")
    talk.now = 3.0
    talk.answer()
    assert talk.connection.deadline == 18.0


# Draining


def test_an_idle_connection_may_go_at_once(talk):
    talk.receive(GET)
    talk.answer()
    assert talk.connection.drain(talk.now)


def test_a_request_in_flight_is_finished_and_closes(talk):
    talk.receive(GET + GET)
    assert not talk.connection.drain(talk.now)
    assert b"\r\nconnection: close\r\n" in talk.answer()
    assert talk.connection.must_close
    assert talk.events() == []


def test_an_answer_that_has_begun_before_closes_after_it(talk):
    talk.receive(GET)
    talk.answer(b"hello", more=True)
    assert not talk.connection.drain(talk.now)
    talk.send()
    assert talk.connection.must_close


def test_a_new_connection_gets_a_moment_for_its_first_request(talk):
    talk.now = 2.0
    assert not talk.connection.drain(talk.now)
    assert talk.connection.deadline == 3.0
    assert talk.receive(GET) == ["GET"]


def test_a_closed_connection_may_go(talk):
    talk.connection.abandon()
    assert talk.connection.drain(talk.now)


# Properties

STREAM = (
    POST + b"hello" + GET + CHUNKS + b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n" + HEAD + CLOSING + GET
)


def converse(parser, pieces):
    """All events of a connection whose requests are answered at once, adjacent pieces of bodies joined."""
    talk = Talk(parser=parser)
    out = []
    for piece in pieces:
        events = talk.receive(piece)
        while events:
            for event in events:
                if isinstance(event, bytes) and event and isinstance(out[-1], bytes):
                    out[-1] += event
                else:
                    out.append(event)
            if not talk.connection.answering:
                break
            talk.answer(b"ok")
            events = talk.events()
    return out


@given(cuts=st.lists(st.integers(0, len(STREAM))), parser=st.sampled_from(["strict", "h11"]))
def test_however_the_bytes_are_split_the_events_are_the_same(cuts, parser):
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(edges) if start < end]
    expected = ["POST", b"hello", b"", "GET", "POST", b"hello!", b"", "HEAD", "GET"]
    assert converse(parser, pieces) == expected


@given(pieces=st.lists(st.binary(max_size=80)), parser=st.sampled_from(["strict", "h11"]))
def test_no_bytes_cause_anything_but_a_protocol_error(pieces, parser):
    talk = Talk(parser=parser)
    with suppress(RemoteProtocolError):
        for piece in pieces:
            talk.receive(piece)
