from __future__ import annotations

import re

import pytest

from sdserve.worker.access import escape
from tests.worker.serving import REQUEST

PLAIN = [("Content-Type", "text/plain")]


def application(environ, start_response):
    if environ["PATH_INFO"] == "/cut":
        start_response("200 OK", [("Content-Length", "9")])
        return iter([b"x", "not bytes"])
    if environ["PATH_INFO"].startswith("/long"):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"hello"] if environ["PATH_INFO"] == "/long" else iter([b"he", b"llo"])
    start_response("404 Not Found" if environ["PATH_INFO"] == "/missing" else "200 OK", PLAIN)
    return [b"hello", b" world"] if environ["PATH_INFO"] == "/parts" else [b"hello"]


def lines(worker):
    worker.errors()
    return [record.getMessage() for record in worker.log.records if record.name == "sdserve.access"]


@pytest.mark.parametrize(
    ("request_bytes", "line"),
    [
        (REQUEST, '"GET / HTTP/1.1" 200 5'),
        (b"HEAD /missing?a=b HTTP/1.0\r\n\r\n", '"HEAD /missing?a=b HTTP/1.0" 404 0'),
        (b"HEAD /parts HTTP/1.1\r\nHost: a\r\n\r\n", '"HEAD /parts HTTP/1.1" 200 0'),
        (b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n", '"GET /long HTTP/1.1" 200 3'),
        (b"GET /long/parts HTTP/1.1\r\nHost: a\r\n\r\n", '"GET /long/parts HTTP/1.1" 200 3'),
        (b"HEAD /long HTTP/1.1\r\nHost: a\r\n\r\n", '"HEAD /long HTTP/1.1" 200 0'),
        (b"GET /parts HTTP/1.1\r\nHost: a\r\n\r\n", '"GET /parts HTTP/1.1" 200 11'),
        (b"GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n", '"GET /a%20b HTTP/1.1" 200 5'),
        (b'GET /"\\x HTTP/1.1\r\nHost: a\r\n\r\n', '"GET /\\x22\\x5cx HTTP/1.1" 200 5'),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", '"POST / HTTP/1.1" 200 5'),
    ],
)
def test_one_line_a_request(serve, threads, request_bytes, line):
    worker = serve(application, threads=threads, access=True)
    worker.request(request_bytes)
    (text,) = lines(worker)
    match = re.fullmatch(r"127\.0\.0\.1 (.*) [0-9]+\.[0-9]ms", text)
    assert match is not None
    assert match[1] == line


def test_a_client_on_a_unix_socket_has_no_address(serve, tmp_path):
    worker = serve(application, access=True, unix=str(tmp_path / "socket"))
    worker.request()
    (text,) = lines(worker)
    assert text.startswith('unix "GET / HTTP/1.1" 200 5 ')


def test_the_client_is_the_one_that_a_proxy_names(serve, threads):
    worker = serve(application, threads=threads, access=True, listen={"trusted": ("127.0.0.0/8",)})
    client = worker.connect()
    for value in (b"192.0.2.1", b"unknown", b"192.0.2.66, 192.0.2.2:80"):
        client.request(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n\r\n" % value)
    client.request()
    assert [line.partition(" ")[0] for line in lines(worker)] == [
        "192.0.2.1",
        "unknown",
        "192.0.2.2",
        "127.0.0.1",
    ]


def test_a_request_that_is_cut_off_has_its_line_too(serve, threads):
    worker = serve(application, threads=threads, access=True)
    client = worker.connect()
    client.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    client.rest_of_cut()
    (text,) = lines(worker)
    assert '"GET /cut HTTP/1.1" 200 1 ' in text


def test_a_request_whose_body_does_not_come_has_its_line_too(serve, threads):
    worker = serve(application, threads=threads, access=True, body_timeout=0.1)
    assert worker.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh").status == 408
    client = worker.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
    worker.settle()
    client.reset()
    worker.settle()
    assert [re.sub(" [0-9.]+ms", "", text) for text in lines(worker)] == [
        '127.0.0.1 "POST / HTTP/1.1" 408 0',
        '127.0.0.1 "POST / HTTP/1.1" - 0',
    ]


def test_one_line_each_of_several_requests(serve, threads):
    worker = serve(application, threads=threads, access=True)
    client = worker.connect()
    client.send(REQUEST * 3)
    for _ in range(3):
        client.response()
    assert len(lines(worker)) == 3


def test_no_line_where_no_request_came(serve):
    worker = serve(application, access=True)
    worker.request(b"no request\r\n\r\n")
    assert lines(worker) == []


@pytest.mark.parametrize("code", range(256))
def test_only_printable_ascii_is_written_as_it_is(code):
    text = escape(bytes([code]))
    assert text.isascii()
    assert text.isprintable()
    assert text == (chr(code) if 0x20 <= code < 0x7F and chr(code) not in '"\\' else f"\\x{code:02x}")
