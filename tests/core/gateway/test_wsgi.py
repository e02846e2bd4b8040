"""The environ of a request, and what an application may answer: PEP 3333."""

from __future__ import annotations

import pytest

from sdserve.core.gateway.wsgi import encode_fields, make_environ, promised_length, status_line
from sdserve.core.http.request import CHUNKED, Request
from sdserve.core.proxy.origin import Origin
from sdserve.errors import LocalProtocolError


def environ(*fields, target=b"/", minor=1, length=0, body_size=0):
    request = Request("POST", target, minor, list(fields))
    request.length = length
    return make_environ(request, {"SERVER_NAME": "x"}, body_size)


def test_the_request_line():
    made = environ(target=b"/a%20b/%C3%A9?q=%20")
    assert made["REQUEST_METHOD"] == "POST"
    assert made["PATH_INFO"] == "/a b/Ã©"  # bytes as latin-1
    assert made["QUERY_STRING"] == "q=%20"
    assert made["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_http_1_0():
    assert environ(minor=0)["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_what_the_connection_has_is_copied():
    standing = {"SERVER_NAME": "x"}
    made = make_environ(Request("GET", b"/", 1, []), standing, 0)
    assert made["SERVER_NAME"] == "x"
    assert standing == {"SERVER_NAME": "x"}


def test_fields_become_variables():
    made = environ((b"x-some-name", b"caf\xe9"), (b"content-type", b"text/plain"))
    assert made["HTTP_X_SOME_NAME"] == "café"
    assert made["CONTENT_TYPE"] == "text/plain"
    assert "HTTP_CONTENT_TYPE" not in made


def test_repeated_fields_are_joined_and_cookies_with_a_semicolon():
    made = environ((b"accept", b"a"), (b"cookie", b"b=1"), (b"accept", b"c"), (b"cookie", b"d=2"))
    assert made["HTTP_ACCEPT"] == "a, c"
    assert made["HTTP_COOKIE"] == "b=1; d=2"


def test_a_name_with_an_underscore_cannot_pose_as_one_with_a_hyphen():
    made = environ((b"x_forwarded_for", b"evil"), (b"x-forwarded-for", b"good"))
    assert made["HTTP_X_FORWARDED_FOR"] == "good"
    assert environ((b"x_forwarded_for", b"evil")).keys() & {"HTTP_X_FORWARDED_FOR"} == set()


def test_the_body_has_been_decoded():
    made = environ((b"transfer-encoding", b"chunked"), length=CHUNKED, body_size=17)
    assert made["CONTENT_LENGTH"] == "17"
    assert "HTTP_TRANSFER_ENCODING" not in made


def test_a_length_of_zero_is_told_as_it_was_sent():
    assert environ((b"content-length", b"0"))["CONTENT_LENGTH"] == "0"
    assert "CONTENT_LENGTH" not in environ()


def test_names_that_nobody_knows_do_not_fill_the_memory():
    for number in range(3000):
        assert f"HTTP_X_N{number}" in environ((b"x-n%d" % number, b""))
    assert "HTTP_" + "A" * 100 in environ((b"a" * 100, b""))


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("200 OK", b"HTTP/1.1 200 OK"),
        ("404 Nicht da, schöne Grüße", "HTTP/1.1 404 Nicht da, schöne Grüße".encode("latin-1")),
        ("299 ", b"HTTP/1.1 299 "),
        ("503", b"HTTP/1.1 503 "),  # RFC 9112 section 4: the space stays
    ],
)
def test_a_status_becomes_a_status_line(status, line):
    assert status_line(status) == line
    assert status_line(status) == line


@pytest.mark.parametrize(
    "status",
    ["", "OK", "20 OK", "2000 OK", "100 Continue", "200OK", "200 O\r\nX: y", "200 \u20ac", 200, None],
)
def test_a_bad_status_is_the_applications_error(status):
    with pytest.raises(LocalProtocolError, match="bad status"):
        status_line(status)


def test_statuses_that_nobody_repeats_do_not_fill_the_memory():
    for number in range(1000):
        assert status_line(f"200 {number}").endswith(str(number).encode())


def test_headers_become_bytes():
    assert encode_fields([("X-Name", "caf\xe9")]) == [(b"X-Name", b"caf\xe9")]


@pytest.mark.parametrize(
    "headers", [[("Name", "\u20ac")], [("Name", b"bytes")], [("Name", 1)], [("Name",)], None, [None]]
)
def test_headers_of_another_kind_are_the_applications_error(headers):
    with pytest.raises(LocalProtocolError, match="latin-1 strings"):
        encode_fields(headers)


@pytest.mark.parametrize(
    "name",
    [
        "Transfer-Encoding",
        "transfer-encoding",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Upgrade",
    ],
)
def test_what_belongs_to_the_connection_is_the_applications_error(name):
    for _ in range(2):
        with pytest.raises(
            LocalProtocolError, match=f"the application sent {name}, which belongs to the conn"
        ):
            encode_fields([("X-Other", "1"), (name, "chunked")])


@pytest.mark.parametrize("value", ["close", "keep-alive", " Close ", "Keep-Alive"])
def test_connection_may_say_what_frameworks_say(value):
    for name in ("Connection", "connection"):
        assert encode_fields([(name, value)]) == [(name.encode(), value.encode())]


@pytest.mark.parametrize("value", ["upgrade", "close, X-Other", "", "te"])
def test_connection_may_not_say_anything_else(value):
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="a Connection that is the server's"):
            encode_fields([("Connection", "close"), ("Connection", value)])


def test_header_names_that_nobody_repeats_do_not_fill_the_memory():
    for number in range(3000):
        assert encode_fields([(f"X-N{number}", "")]) == [(b"X-N%d" % number, b"")]
    assert encode_fields([("A" * 100, "")]) == [(b"A" * 100, b"")]


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], None),
        ([(b"X", b"1"), (b"Content-Length", b"12")], 12),
        ([(b"content-length", b"0")], 0),
        ([(b"Content-Length", b"-1")], None),
        ([(b"Content-Length", b"many")], None),
    ],
)
def test_the_length_that_an_application_promises(fields, length):
    assert promised_length(fields) == length


STANDING = {"REMOTE_ADDR": "10.0.0.9", "REMOTE_PORT": "1", "wsgi.url_scheme": "http", "SCRIPT_NAME": ""}


def proxied(target, client, scheme, prefix, root_path):
    request = Request("GET", target, 1, [])
    request.origin = Origin(client, scheme, prefix, root_path)
    made = make_environ(request, STANDING, 0)
    return [
        made[name] for name in ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "SCRIPT_NAME", "PATH_INFO")
    ]


def test_where_a_request_comes_from_goes_before_what_its_connection_says():
    client = ("192.0.2.1", 4711)
    assert proxied(b"/a%20b", client, "https", "", "") == ["192.0.2.1", "4711", "https", "", "/a b"]
    assert proxied(b"/a", ("192.0.2.1", 0), "http", "", "") == ["192.0.2.1", "", "http", "", "/a"]
    assert proxied(b"/a", None, "http", "", "") == ["", "", "http", "", "/a"]
    assert STANDING["REMOTE_ADDR"] == "10.0.0.9"


def test_script_name_and_path_info_are_the_path_that_clients_see():
    """PEP 3333: together they are it."""
    assert proxied(b"/a%20b", None, "http", "/de", "/de")[3:] == ["/de", "/a b"]
    assert proxied(b"/shop/a", None, "http", "", "/shop")[3:] == ["/shop", "/a"]
    assert proxied(b"/%73hop", None, "http", "", "/shop")[3:] == ["/shop", ""]
    assert proxied(b"/shop/a", None, "http", "/de", "/de/shop")[3:] == ["/de/shop", "/a"]
