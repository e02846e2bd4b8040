"""What a connection makes of the bytes it is given, and when it parses no more of them."""

from __future__ import annotations

from math import inf

import pytest

from sdserve.core.http.request import Request
from tests.core.http.dialogue import CHUNKED, EXPECTING, REQUEST, STANDING, Answer, Dialogue, post


@pytest.fixture(params=["strict", "h11"])
def dialogue(request):
    return Dialogue(parser=request.param)


def targets(events):
    return [event.target if isinstance(event, Request) else event for event in events]


# Requests and their bodies


def test_nothing_comes_of_nothing(dialogue):
    assert dialogue.events() == []
    assert dialogue.connection.requests == 0
    assert not dialogue.connection.pipelined


def test_a_request_without_a_body_is_one_event(dialogue):
    (request,) = dialogue.receive(REQUEST)
    assert dialogue.connection.request is request
    assert dialogue.connection.requests == 1
    assert dialogue.connection.answering


def test_a_body_comes_piece_by_piece_and_has_an_end(dialogue):
    assert targets(dialogue.receive(post(6))) == [b"/"]
    assert not dialogue.connection.answering
    assert dialogue.receive(b"one") == [b"one"]
    assert dialogue.receive(b"two") == [b"two", b""]
    assert dialogue.connection.answering


def test_a_chunked_body_comes_without_its_framing(dialogue):
    assert targets(dialogue.receive(CHUNKED + b"3\r\non")) == [b"/", b"on"]
    assert dialogue.receive(b"e\r") == [b"e"]
    assert dialogue.receive(b"\n0;x\r\nX: y\r\n") == []
    assert dialogue.receive(b"\r\n") == [b""]


def test_a_body_and_the_next_request_in_one_go(dialogue):
    assert targets(dialogue.receive(post(3) + b"one" + REQUEST)) == [b"/", b"one", b""]
    assert dialogue.connection.pipelined


# One exchange at a time, in order (RFC 9112 section 9.3.2)


def test_the_next_request_waits_for_the_end_of_the_response(dialogue):
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(3))
    assert targets(dialogue.receive(requests)) == [b"/0"]
    assert dialogue.receive(b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n") == []
    for number in range(1, 4):
        dialogue.start(body=b"x", more=True)
        assert dialogue.events() == []
        dialogue.data(b"", more=False)
        assert targets(dialogue.events()) == [b"/%d" % number]
    dialogue.answer()
    assert dialogue.events() == []
    assert dialogue.connection.requests == 4


def test_the_next_request_waits_for_the_end_of_the_body(dialogue):
    dialogue.receive(post(3) + b"o")
    dialogue.answer(body=b"early")
    assert dialogue.receive(b"n") == []
    assert targets(dialogue.receive(b"e" + REQUEST)) == [b"/"]


def test_a_response_may_begin_before_the_body_has_come(dialogue):
    dialogue.receive(post(3) + b"o")
    assert dialogue.start(body=b"x", more=True)
    assert dialogue.receive(b"ne") == [b"ne", b""]
    dialogue.data(b"", more=False)
    assert targets(dialogue.receive(REQUEST)) == [b"/"]


# Bodies that nobody reads


@pytest.mark.parametrize("head", [post(65536), CHUNKED])
def test_a_small_unread_body_is_thrown_away(dialogue, head):
    dialogue.receive(head)
    answer = dialogue.answer()
    assert b"connection" not in answer.fields
    assert not dialogue.connection.must_close
    body = bytes(65536) if head != CHUNKED else b"10000\r\n" + bytes(65536) + b"\r\n0\r\n\r\n"
    assert dialogue.receive(body[:100]) == []
    assert dialogue.receive(body[100:]) == []
    assert targets(dialogue.receive(REQUEST)) == [b"/"]


def test_an_unread_body_that_is_known_to_be_large_ends_the_connection(dialogue):
    dialogue.receive(post(65537))
    dialogue.answer()
    assert dialogue.connection.must_close
    assert dialogue.receive(bytes(65537) + REQUEST) == []


def test_what_was_read_of_a_body_does_not_count_as_unread(dialogue):
    dialogue.receive(post(100_000) + bytes(50_000))
    dialogue.answer()
    assert not dialogue.connection.must_close
    assert targets(dialogue.receive(bytes(50_000) + REQUEST)) == [b"/"]


def test_an_unread_chunked_body_ends_the_connection_once_it_is_large(dialogue):
    dialogue.receive(CHUNKED)
    dialogue.answer()
    assert dialogue.receive(b"10000\r\n" + bytes(65536) + b"\r\n") == []
    assert not dialogue.connection.must_close
    assert dialogue.receive(b"1\r\nx\r\n") == []
    assert dialogue.connection.must_close
    assert dialogue.receive(b"0\r\n\r\n" + REQUEST) == []


def test_a_fault_in_an_unread_body_ends_the_connection(dialogue):
    dialogue.receive(CHUNKED)
    dialogue.answer()
    assert dialogue.receive(b"x\r\n" + REQUEST) == []
    assert dialogue.connection.must_close
    assert not dialogue.connection.all_read


def test_an_unread_body_that_is_here_already(dialogue):
    dialogue.connection.receive_data(post(3) + b"one" + REQUEST, dialogue.now)
    dialogue.connection.next_event(dialogue.now)
    dialogue.answer()
    assert targets(dialogue.events()) == [b"/"]


# Connections that persist and those that do not (RFC 9112 section 9.3, 9.6)


def test_close_asked_for_by_the_client(dialogue):
    dialogue.receive(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + REQUEST)
    assert dialogue.answer().fields[b"connection"] == b"close"
    assert dialogue.connection.must_close
    assert not dialogue.connection.all_read  # the second request is here, and is not looked at
    assert dialogue.events() == []
    assert dialogue.receive(REQUEST) == []


def test_close_asked_for_by_the_application(dialogue):
    dialogue.receive(REQUEST)
    assert dialogue.answer(fields=[(b"Connection", b"Close")]).fields[b"connection"] == b"close"
    assert dialogue.connection.must_close
    assert dialogue.connection.all_read


def test_http10_does_not_persist(dialogue):
    dialogue.receive(b"GET / HTTP/1.0\r\n\r\n")
    assert dialogue.answer().fields[b"connection"] == b"close"
    assert dialogue.connection.must_close


def test_http10_persists_if_it_is_asked_to(dialogue):
    for _ in range(2):
        dialogue.receive(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert dialogue.answer().fields[b"connection"] == b"keep-alive"
        assert not dialogue.connection.must_close


# Faults


def test_a_fault_in_a_head_ends_everything(dialogue):
    assert dialogue.refused(b"GET / HTTP/1.1\r\n\r\n" + REQUEST) == 400
    assert dialogue.connection.must_close
    assert dialogue.connection.deadline == inf
    assert dialogue.receive(REQUEST) == []
    assert not dialogue.connection.all_read


def test_a_fault_in_a_body_ends_everything(dialogue):
    assert dialogue.refused(CHUNKED + b"x\r\n" + REQUEST) == 400
    assert dialogue.connection.must_close
    assert dialogue.receive(REQUEST) == []


def test_a_fault_behind_a_good_request(dialogue):
    dialogue.receive(REQUEST + b"bad\r\n\r\n")
    dialogue.answer()
    assert dialogue.refused(b"") == 400
    assert Answer.of(dialogue.connection.send_error(400, STANDING)).status == b"HTTP/1.1 400 Bad Request"


def test_the_status_of_a_limit():
    dialogue = Dialogue(max_body=2)
    assert dialogue.refused(post(3)) == 413


# The client sends no more


def test_eof_while_idle(dialogue):
    dialogue.connection.receive_eof()
    assert dialogue.connection.must_close


def test_eof_in_a_head(dialogue):
    dialogue.receive(REQUEST[:-1])
    dialogue.connection.receive_eof()
    assert dialogue.connection.must_close
    assert dialogue.receive(b"\n") == []


def test_eof_in_a_body(dialogue):
    """RFC 9112 section 8: incomplete, and never taken for complete."""
    dialogue.receive(post(3) + b"on")
    dialogue.connection.receive_eof()
    assert dialogue.connection.must_close
    assert dialogue.events() == []


def test_eof_behind_a_request_leaves_time_for_the_answer(dialogue):
    dialogue.receive(REQUEST)
    dialogue.connection.receive_eof()
    assert dialogue.connection.answering
    answer = dialogue.answer(body=b"x")
    assert (answer.body, answer.fields[b"connection"]) == (b"x", b"close")
    assert dialogue.connection.must_close
    assert dialogue.connection.all_read


def test_eof_in_the_middle_of_a_response(dialogue):
    dialogue.receive(REQUEST)
    dialogue.start(body=b"x", more=True)
    dialogue.connection.receive_eof()
    assert dialogue.data(b"y", more=False) == b"1\r\ny\r\n0\r\n\r\n"
    assert dialogue.connection.must_close


def test_eof_in_an_unread_body(dialogue):
    dialogue.receive(post(3))
    dialogue.answer()
    dialogue.connection.receive_eof()
    assert dialogue.connection.must_close


def test_an_answer_may_end_after_the_connection_has_been_given_up(dialogue):
    dialogue.receive(post(3))
    dialogue.start(body=b"x", more=True)
    dialogue.connection.receive_eof()
    assert dialogue.data(b"y", more=False) == b"1\r\ny\r\n0\r\n\r\n"
    assert dialogue.connection.response_complete
    assert dialogue.connection.must_close


# 100 (Continue), RFC 9110 section 10.1.1


def test_100_continue_is_sent_once(dialogue):
    dialogue.receive(EXPECTING)
    assert dialogue.connection.send_continue(dialogue.now) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert dialogue.connection.send_continue(dialogue.now) == b""
    assert dialogue.receive(b"abc") == [b"abc", b""]
    assert b"connection" not in dialogue.answer().fields
    assert targets(dialogue.receive(REQUEST)) == [b"/"]


def test_100_continue_is_not_sent_to_who_does_not_wait(dialogue):
    dialogue.receive(post(3))
    assert dialogue.connection.send_continue(dialogue.now) == b""


def test_100_continue_is_not_sent_without_a_request(dialogue):
    assert dialogue.connection.send_continue(dialogue.now) == b""


@pytest.mark.parametrize("body", [b"a", b"abc"])
def test_100_continue_is_not_sent_if_the_body_is_coming(dialogue, body):
    dialogue.receive(EXPECTING + body)
    assert dialogue.connection.send_continue(dialogue.now) == b""
    dialogue.receive(b"abc"[len(body) :])
    assert b"connection" not in dialogue.answer().fields


def test_100_continue_is_not_sent_for_bytes_that_wait_unparsed(dialogue):
    dialogue.connection.receive_data(EXPECTING + b"a", dialogue.now)
    dialogue.connection.next_event(dialogue.now)
    assert dialogue.connection.send_continue(dialogue.now) == b""


def test_100_continue_is_not_sent_after_the_response_has_begun(dialogue):
    dialogue.receive(EXPECTING)
    dialogue.start(body=b"x", more=True)
    assert dialogue.connection.send_continue(dialogue.now) == b""


def test_a_final_answer_instead_of_100_closes(dialogue):
    """The body may come or not, so what comes next could not be told from a request."""
    dialogue.receive(EXPECTING)
    assert dialogue.answer(417).fields[b"connection"] == b"close"
    assert dialogue.connection.must_close
    assert dialogue.receive(b"abc" + REQUEST) == []


def test_a_client_that_did_not_wait_for_100_needs_no_close(dialogue):
    dialogue.receive(EXPECTING + b"abc")
    assert b"connection" not in dialogue.answer().fields


def test_100_continue_is_not_for_http10(dialogue):
    dialogue.receive(EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert dialogue.connection.send_continue(dialogue.now) == b""
