"""Response heads: what an application may put into them, and what it may not."""

from __future__ import annotations

import pytest

from sdserve.core.http.response import Head, early_hints, make_standing, status_line, trailer_section
from sdserve.errors import LocalProtocolError

DATE = "Mon, 23 Nov 2026 00:00:00 GMT"
STANDING = make_standing(DATE, "sdserve")
OK = status_line(200)


def encoded(*fields, standing=STANDING):
    return Head(OK, fields).encode(standing)


def test_names_and_values_are_sent_as_they_were_given():
    head = encoded((b"X-Name", b"value"), (b"set-cookie", b"a"), (b"set-cookie", b"b\xe9"))
    assert head == (
        b"HTTP/1.1 200 OK\r\nX-Name: value\r\nset-cookie: a\r\nset-cookie: b\xe9\r\n"
        b"date: Mon, 23 Nov 2026 00:00:00 GMT\r\nserver: sdserve\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("fields", "own"),
    [
        ([(b"Date", b"then")], [b"server: sdserve"]),
        ([(b"SERVER", b"mine")], [f"date: {DATE}".encode()]),
        ([(b"date", b"then"), (b"server", b"mine")], []),
    ],
)
def test_the_applications_date_and_server_win(fields, own):
    lines = encoded(*fields).split(b"\r\n")[1:-2]
    assert lines == [name + b": " + value for name, value in fields] + own


def test_no_server_field_at_all():
    assert b"server" not in encoded(standing=make_standing(DATE, ""))


@pytest.mark.parametrize(("status", "kept"), [(426, True), (200, False)])
def test_a_426_says_that_the_connection_can_be_upgraded(status, kept):
    head = Head(status_line(status), [(b"Connection", b"Upgrade"), (b"connection", b"x")]).encode(STANDING)
    assert (b"\r\nConnection: Upgrade\r\n" in head) == kept
    assert b"connection: x" not in head


@pytest.mark.parametrize("name", [b"transfer-encoding", b"Keep-Alive", b"connection"])
def test_fields_that_are_the_servers_business_are_not_passed_on(name):
    assert name not in encoded((name, b"chunked"))


@pytest.mark.parametrize(
    ("value", "close"), [(b"close", True), (b"Keep-Alive, CLOSE", True), (b"upgrade", False)]
)
def test_an_application_may_ask_for_the_connection_to_be_closed(value, close):
    assert Head(OK, [(b"Connection", value)]).close is close


def test_the_length_is_noted():
    assert Head(OK, [(b"Content-Length", b"42")]).length == 42
    assert Head(OK, []).length is None


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1_0", b"1 ", b"0x1", b"\xd9\xa5", b"9" * 19])
def test_a_bad_length_is_refused(value):
    with pytest.raises(LocalProtocolError, match="Content-Length"):
        Head(OK, [(b"content-length", value)])


def test_a_second_length_is_refused():
    with pytest.raises(LocalProtocolError, match="second Content-Length"):
        Head(OK, [(b"content-length", b"1"), (b"content-length", b"1")])


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"a\x00", b"caf\xe9"])
def test_a_name_that_is_not_a_token_is_refused(name):
    with pytest.raises(LocalProtocolError, match="not a token"):
        Head(OK, [(name, b"value")])


@pytest.mark.parametrize(
    "evil", [b"\r\nX: y", b"\r", b"\n", b"\x00", b"\x0b", b"\x7f", b"\r\n\r\nHTTP/1.1 200 OK"]
)
def test_nothing_in_a_value_or_the_status_can_start_a_line(evil):
    for head in (Head(OK, [(b"x", b"a" + evil)]), Head(OK + evil, [])):
        with pytest.raises(LocalProtocolError, match="control character"):
            head.encode(STANDING)


def test_a_tab_is_no_control_character():
    assert b"x: a\tb\r\n" in encoded((b"x", b"a\tb"))


def test_names_that_nobody_repeats_do_not_fill_the_memory():
    for number in range(3000):
        assert b"x-n%d: \r\n" % number in encoded((b"x-n%d" % number, b""))
    assert b"y" * 100 + b": z" in encoded((b"y" * 100, b"z"))


@pytest.mark.parametrize(("status", "line"), [(200, b"HTTP/1.1 200 OK"), (299, b"HTTP/1.1 299 ")])
def test_status_lines(status, line):
    assert status_line(status) == line


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (413, b"Content Too Large"),
        (414, b"URI Too Long"),
        (416, b"Range Not Satisfiable"),
        (422, b"Unprocessable Content"),
    ],
)
def test_phrases_are_those_of_rfc_9110_whatever_this_python_says(status, phrase):
    assert status_line(status) == b"HTTP/1.1 %d %b" % (status, phrase)


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -200])
def test_what_is_no_final_status_is_refused(status):
    with pytest.raises(LocalProtocolError, match="not a final status"):
        status_line(status)


# Interim responses and trailers


def test_early_hints_are_a_head_of_their_own():
    assert early_hints([(b"Link", b"</a>; rel=preload"), (b"x", b"y")]) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nx: y\r\n\r\n"
    )
    assert early_hints([]) == b"HTTP/1.1 103 Early Hints\r\n\r\n"


def test_trailers_are_lines_without_an_end_of_their_own():
    assert trailer_section([(b"Digest", b"a"), (b"x", b"y")]) == b"Digest: a\r\nx: y\r\n"
    assert trailer_section([]) == b""


@pytest.mark.parametrize("name", [b"Content-Length", b"transfer-encoding", b"Connection", b"Keep-Alive"])
def test_a_field_of_a_connection_or_a_body_is_in_no_interim_response(name):
    with pytest.raises(LocalProtocolError, match="interim"):
        early_hints([(b"link", b"x"), (name, b"1")])


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length",
        b"transfer-encoding",
        b"Connection",
        b"Trailer",
        b"HOST",
        b"cache-control",
        b"Set-Cookie",
        b"Content-Type",
        b"content-encoding",
        b"WWW-Authenticate",
        b"location",
    ],
)
def test_what_is_needed_before_the_body_is_no_trailer(name):
    """RFC 9110 section 6.5.1."""
    with pytest.raises(LocalProtocolError, match="trailer"):
        trailer_section([(b"digest", b"x"), (name, b"1")])


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"y\r\nset-cookie: evil"),
        (b"x", b"y\n"),
        (b"x", b"\0"),
        (b"x y", b"z"),
        (b"", b"z"),
        (b"x:", b""),
    ],
)
@pytest.mark.parametrize("make", [early_hints, trailer_section])
def test_nothing_starts_a_line_of_its_own_there_either(make, field):
    with pytest.raises(LocalProtocolError):
        make([(b"a", b"b"), field])
