"""What a connection puts on the wire, and what it does with the mistakes of an application."""

from __future__ import annotations

import pytest

from sdserve.core.http.response import make_standing
from sdserve.errors import LocalProtocolError
from tests.core.http.dialogue import CHUNKED, REQUEST, STANDING, Answer, Dialogue, post

HTTP10 = b"GET / HTTP/1.0\r\n\r\n"
HTTP10_KEEP_ALIVE = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"


def begun(request=REQUEST, **options):
    dialogue = Dialogue(**options)
    dialogue.receive(request)
    return dialogue


# Framing (RFC 9112 section 6)


def test_the_whole_of_a_plain_answer():
    assert begun().start(200, [(b"Content-Type", b"text/plain")], b"hello") == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/plain\r\n"
        b"content-length: 5\r\n"
        b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"server: test\r\n"
        b"\r\n"
        b"hello"
    )


def test_a_complete_body_has_its_length_told():
    dialogue = begun()
    answer = dialogue.answer(body=b"hello")
    assert answer.fields[b"content-length"] == b"5"
    assert b"transfer-encoding" not in answer.fields
    assert dialogue.connection.response_complete


def test_no_body_has_its_length_told():
    assert begun().answer().fields[b"content-length"] == b"0"


def test_the_applications_length_is_taken():
    answer = begun().answer(fields=[(b"Content-Length", b"5")], body=b"hello")
    assert answer.fields[b"Content-Length"] == b"5"
    assert b"content-length" not in answer.fields
    assert answer.body == b"hello"


def test_a_body_of_unknown_length_is_chunked():
    dialogue = begun()
    answer = Answer.of(dialogue.start(body=b"hello", more=True))
    assert answer.fields[b"transfer-encoding"] == b"chunked"
    assert answer.body == b"5\r\nhello\r\n"
    assert dialogue.data(b"") == b""  # an empty chunk would be the end
    assert dialogue.data(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert not dialogue.connection.response_complete
    assert dialogue.data(b"", more=False) == b"0\r\n\r\n"
    assert dialogue.connection.response_complete
    assert not dialogue.connection.must_close


def test_the_last_part_and_the_last_chunk_are_one():
    dialogue = begun()
    dialogue.start(more=True)
    assert dialogue.data(b"end", more=False) == b"3\r\nend\r\n0\r\n\r\n"


def test_a_body_of_known_length_comes_as_it_is():
    dialogue = begun()
    answer = Answer.of(dialogue.start(fields=[(b"content-length", b"6")], body=b"one", more=True))
    assert b"transfer-encoding" not in answer.fields
    assert answer.body == b"one"
    assert dialogue.data(b"two") == b"two"
    assert dialogue.data(b"", more=False) == b""
    assert dialogue.connection.complaint == ""
    assert not dialogue.connection.must_close


@pytest.mark.parametrize("request_bytes", [HTTP10, HTTP10_KEEP_ALIVE])
def test_a_body_of_unknown_length_ends_with_the_connection_in_http10(request_bytes):
    dialogue = begun(request_bytes)
    answer = Answer.of(dialogue.start(body=b"one", more=True))
    assert answer.fields[b"connection"] == b"close"
    assert b"transfer-encoding" not in answer.fields
    assert answer.body == b"one"
    assert dialogue.data(b"two", more=False) == b"two"
    assert dialogue.connection.must_close
    assert dialogue.connection.all_read


def test_a_body_of_known_length_lets_http10_persist():
    dialogue = begun(HTTP10_KEEP_ALIVE)
    Answer.of(dialogue.start(fields=[(b"content-length", b"3")], body=b"one", more=True))
    dialogue.data(b"", more=False)
    assert not dialogue.connection.must_close


@pytest.mark.parametrize("body", [bytearray(b"hello"), memoryview(b"hello")])
def test_bytes_may_come_in_other_types(body):
    dialogue = begun()
    assert Answer.of(dialogue.start(body=body, more=True)).body == b"5\r\nhello\r\n"
    assert dialogue.data(body, more=False) == b"5\r\nhello\r\n0\r\n\r\n"
    assert begun().answer(body=body).body == b"hello"


# Answers without a body (RFC 9110 section 6.4.1)


@pytest.mark.parametrize("fields", [[], [(b"content-length", b"5")]])
def test_an_answer_to_head_has_the_fields_and_no_body(fields):
    dialogue = begun(HEAD)
    answer = dialogue.answer(fields=fields, body=b"hello")
    assert answer.fields[b"content-length"] == b"5"
    assert answer.body == b""
    assert not dialogue.connection.must_close
    assert dialogue.connection.complaint == ""


def test_an_answer_to_head_in_parts():
    dialogue = begun(HEAD)
    answer = Answer.of(dialogue.start(body=b"hello", more=True))
    assert answer.fields[b"transfer-encoding"] == b"chunked"
    assert answer.body == b""
    assert dialogue.data(b"more") == b""
    assert dialogue.data(b"", more=False) == b""
    assert not dialogue.connection.must_close


def test_an_answer_to_head_whose_application_makes_no_body():
    dialogue = begun(HEAD)
    assert dialogue.answer(fields=[(b"content-length", b"5")]).fields[b"content-length"] == b"5"
    assert dialogue.connection.complaint == ""
    dialogue.receive(HEAD)
    assert dialogue.answer().body == b""


def test_an_answer_to_head_in_http10():
    dialogue = begun(HTTP10_KEEP_ALIVE.replace(b"GET", b"HEAD"))
    answer = Answer.of(dialogue.start(body=b"hello", more=True))
    assert b"transfer-encoding" not in answer.fields
    assert answer.fields[b"connection"] == b"keep-alive"
    assert dialogue.data(b"", more=False) == b""


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [b"", b"hello"])
@pytest.mark.parametrize("more", [False, True])
def test_an_answer_that_never_has_a_body(status, body, more):
    """RFC 9110 section 8.6, RFC 9112 section 6.1: and tells no length or coding of one either."""
    dialogue = begun()
    answer = Answer.of(dialogue.start(status, body=body, more=more))
    assert set(answer.fields) == {b"date", b"server"}
    assert answer.body == b""
    if more:
        assert dialogue.data(b"more", more=False) == b""
    assert not dialogue.connection.must_close
    assert len(dialogue.receive(REQUEST)) == 1


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("fields", [[], [(b"Content-Length", b"5")]])
@pytest.mark.parametrize("body", [b"", b"hello"])
@pytest.mark.parametrize("more", [False, True])
def test_a_205_has_no_body_and_says_so(method, fields, body, more):
    """RFC 9110 section 15.3.6."""
    dialogue = begun(REQUEST.replace(b"GET", method))
    answer = Answer.of(dialogue.start(205, fields, body=body, more=more))
    assert set(answer.fields) == {b"content-length", b"date", b"server"}
    assert answer.fields[b"content-length"] == b"0"
    assert answer.body == b""
    if more:
        assert dialogue.data(b"more", more=False) == b""
    assert dialogue.connection.complaint == ""
    assert not dialogue.connection.must_close
    assert len(dialogue.receive(REQUEST)) == 1


def test_a_length_that_the_application_tells_with_204_is_not_sent():
    answer = begun().answer(204, [(b"Content-Length", b"0")])
    assert set(answer.fields) == {b"date", b"server"}


def test_a_length_that_the_application_tells_with_304_is_sent():
    """It is the length that the answer to a GET would have had (RFC 9110 section 8.6)."""
    assert begun().answer(304, [(b"content-length", b"9")]).fields[b"content-length"] == b"9"


# Content-Length and body disagree


def test_too_much_is_cut_and_told():
    dialogue = begun()
    assert dialogue.answer(fields=[(b"content-length", b"3")], body=b"abcdef").body == b"abc"
    assert "more than its Content-Length" in dialogue.connection.complaint
    assert not dialogue.connection.must_close
    dialogue.receive(REQUEST)
    assert dialogue.connection.complaint == ""


def test_too_much_in_parts_is_cut_and_told():
    dialogue = begun()
    dialogue.start(fields=[(b"content-length", b"3")], body=b"ab", more=True)
    assert dialogue.data(b"cd") == b"c"
    assert dialogue.data(b"ef") == b""
    assert dialogue.data(b"", more=False) == b""
    assert "more than its Content-Length" in dialogue.connection.complaint


def test_too_little_is_told_and_ends_the_connection():
    dialogue = begun(REQUEST + REQUEST)
    answer = dialogue.answer(fields=[(b"content-length", b"10")], body=b"abc")
    assert answer.body == b"abc"
    assert dialogue.connection.complaint == "the application sent 7 bytes less than its Content-Length"
    assert dialogue.connection.must_close
    assert dialogue.events() == []


# What would break the head (RFC 9112 section 11.1)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (b"HTTP/1.1 200 OK\r\nSet-Cookie: evil", []),
        (b"HTTP/1.1 200 O\nK", []),
        (b"HTTP/1.1 200 O\0K", []),
        (b"HTTP/1.1 200 OK", [(b"x", b"y\r\nset-cookie: evil")]),
        (b"HTTP/1.1 200 OK", [(b"x", b"y\nset-cookie: evil")]),
        (b"HTTP/1.1 200 OK", [(b"x", b"y\rset-cookie: evil")]),
        (b"HTTP/1.1 200 OK", [(b"x", b"y\0")]),
        (b"HTTP/1.1 200 OK", [(b"x", b"y\x7f")]),
        (b"HTTP/1.1 200 OK", [(b"x: y\r\nset-cookie", b"evil")]),
        (b"HTTP/1.1 200 OK", [(b"x y", b"z")]),
        (b"HTTP/1.1 200 OK", [(b"", b"z")]),
        (b"HTTP/1.1 200 OK", [(b"x:", b"z")]),
        (b"HTTP/1.1 200 OK", [(b"x", b"y\r\n\r\n<script>")]),
        (b"HTTP/1.1 200 OK", [(b"connection", b"close\r\nx: y"), (b"x", b"\r")]),
        (b"HTTP/1.1 200 OK", [(b"content-length", b"1"), (b"Content-Length", b"1")]),
        (b"HTTP/1.1 200 OK", [(b"content-length", b"-1")]),
        (b"HTTP/1.1 200 OK", [(b"content-length", b"+1")]),
        (b"HTTP/1.1 200 OK", [(b"content-length", b"")]),
        (b"HTTP/1.1 200 OK", [(b"content-length", b"1" * 19)]),
        (b"HTTP/1.1 200 OK", [(b"content-length", b"1, 1")]),
    ],
)
@pytest.mark.parametrize("more", [False, True])
def test_nothing_is_sent_of_what_would_break_the_head(status, fields, more):
    dialogue = begun()
    with pytest.raises(LocalProtocolError):
        dialogue.connection.send_response(status, fields, b"x", more, STANDING, dialogue.now)
    assert not dialogue.connection.response_started
    # Another answer is still possible, in the connection's turn.
    assert dialogue.answer(500).status == b"HTTP/1.1 500 Internal Server Error"


@pytest.mark.parametrize("body", ["text", None, 5, [b"x"], {}])
def test_a_body_that_is_not_bytes_is_refused(body):
    dialogue = begun()
    with pytest.raises(LocalProtocolError, match="not bytes but"):
        dialogue.start(body=body)
    assert not dialogue.connection.response_started
    dialogue.start(body=b"x", more=True)
    with pytest.raises(LocalProtocolError, match="not bytes but"):
        dialogue.data(body, more=False)
    assert not dialogue.connection.response_complete


# Our own answers


def test_an_error_is_plain_text_and_closes():
    dialogue = Dialogue()
    assert dialogue.refused(b"GET /<script> HTTP/1.1\r\nHost: <script>\r\n\r\n") == 400
    assert dialogue.connection.send_error(400, STANDING) == (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"server: test\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: 16\r\n"
        b"connection: close\r\n"
        b"\r\n"
        b"400 Bad Request\n"
    )
    assert dialogue.connection.must_close


def test_an_error_to_head_has_no_body():
    dialogue = begun(b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert dialogue.refused(b"x\r\n") == 400
    answer = Answer.of(dialogue.connection.send_error(400, STANDING))
    assert (answer.fields[b"content-length"], answer.body) == (b"16", b"")


def test_there_is_no_error_in_the_middle_of_an_answer():
    dialogue = begun(CHUNKED)
    dialogue.start(body=b"x", more=True)
    assert dialogue.refused(b"x\r\n") == 400
    assert dialogue.connection.send_error(400, STANDING) == b""
    assert dialogue.connection.must_close


def test_an_error_behind_a_complete_answer():
    dialogue = begun(REQUEST + b"bad\r\n\r\n")
    dialogue.answer()
    assert dialogue.refused(b"") == 400
    assert Answer.of(dialogue.connection.send_error(400, STANDING)).body == b"400 Bad Request\n"


@pytest.mark.parametrize("server", ["", "test"])
@pytest.mark.parametrize("own_date", [False, True])
@pytest.mark.parametrize("own_server", [False, True])
def test_date_and_server_are_ours_unless_the_application_sent_its_own(server, own_date, own_server):
    dialogue = begun()
    fields = [(b"Date", b"today")] * own_date + [(b"SERVER", b"mine")] * own_server
    standing = make_standing("now", server)
    answer = Answer.of(
        dialogue.connection.send_response(b"HTTP/1.1 200 OK", fields, b"", False, standing, dialogue.now)
    )
    values = {name.lower(): value for name, value in answer.fields.items()}
    assert values[b"date"] == (b"today" if own_date else b"now")
    assert values.get(b"server", b"") == (b"mine" if own_server else server.encode())
    assert len(values) == len(answer.fields)


@pytest.mark.parametrize("name", [b"Transfer-Encoding", b"keep-alive", b"Connection"])
def test_the_servers_own_fields_are_not_the_applications(name):
    dialogue = begun()
    answer = Answer.of(dialogue.start(fields=[(name, b"chunked")], body=b"x", more=True))
    assert answer.fields.get(b"transfer-encoding") == b"chunked"
    assert b"connection" not in answer.fields
    assert b"keep-alive" not in answer.fields


# The end


def test_a_drain_between_requests_ends_the_connection():
    dialogue = begun()
    dialogue.answer()
    assert dialogue.connection.drain(dialogue.now) is True


def test_a_drain_gives_a_new_connection_a_moment_for_its_first_request():
    dialogue = Dialogue()
    assert dialogue.connection.drain(dialogue.now) is False
    assert len(dialogue.receive(REQUEST)) == 1
    assert dialogue.answer().fields[b"connection"] == b"close"
    assert dialogue.connection.all_read


def test_a_drain_does_not_wait_long_for_a_first_request():
    dialogue = Dialogue(head_timeout=15.0)
    dialogue.connection.drain(dialogue.now)
    assert dialogue.wait(1.0)
    assert dialogue.connection.timed_out() == 0


def test_a_drain_does_not_extend_a_deadline():
    dialogue = Dialogue(head_timeout=0.5)
    dialogue.connection.drain(dialogue.now)
    assert dialogue.wait(0.5)


@pytest.mark.parametrize("sent", [REQUEST[:10], REQUEST, post(3), post(3) + b"abc"])
def test_a_drain_lets_an_exchange_finish(sent):
    dialogue = begun(sent)
    assert dialogue.connection.drain(dialogue.now) is False
    rest = (post(3) + b"abc" if sent.startswith(b"POST") else REQUEST)[len(sent) :]
    dialogue.receive(rest + REQUEST)
    assert dialogue.answer(body=b"x").fields[b"connection"] == b"close"
    assert dialogue.connection.must_close
    assert dialogue.events() == []


def test_a_drain_in_the_middle_of_an_answer_ends_the_connection_after_it():
    dialogue = begun(REQUEST + REQUEST)
    dialogue.start(body=b"x", more=True)
    assert dialogue.connection.drain(dialogue.now) is False
    dialogue.data(b"", more=False)
    assert dialogue.connection.must_close
    assert dialogue.events() == []


def test_a_drain_waits_for_an_unread_body():
    dialogue = begun(post(3))
    dialogue.answer()
    assert dialogue.connection.drain(dialogue.now) is False
    dialogue.receive(b"abc")
    assert dialogue.connection.must_close
    assert dialogue.connection.all_read


def test_a_connection_that_is_to_be_closed_need_not_wait_for_a_drain():
    dialogue = begun()
    dialogue.connection.abandon()
    assert dialogue.connection.drain(dialogue.now) is True


def test_a_response_is_filled_once_its_length_is_reached():
    dialogue = begun()
    dialogue.start(200, [(b"Content-Length", b"5")], b"he", more=True)
    assert not dialogue.connection.filled
    dialogue.connection.send_data(b"llo", True, dialogue.now)
    assert dialogue.connection.filled


def test_a_stream_is_never_filled():
    dialogue = begun()
    dialogue.start(200, [], b"hello", more=True)
    assert not dialogue.connection.filled
