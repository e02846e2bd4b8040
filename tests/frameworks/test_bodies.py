"""Request bodies: of every framing and size, as the frameworks read them."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from tests.frameworks.apps import site
from tests.frameworks.cases import every_server, for_servers

MIB = 1024 * 1024
UPLOAD = random.Random(1).randbytes(MIB)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
BINARY = {"Content-Type": "application/octet-stream"}


def digest(body):
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def pieces(body, size):
    return [body[start : start + size] for start in range(0, len(body), size)]


@every_server
def test_a_form_arrives(server):
    answer = server.request("POST", "/form", b"name=J%C3%BCrgen&tag=a+b&tag=c", FORM)
    assert (answer.status, answer.json) == (200, {"name": ["Jürgen"], "tag": ["a b", "c"]})


@every_server
def test_a_document_arrives(server):
    document = {"name": "Jürgen", "numbers": [1, 2.5, None]}
    answer = server.request("POST", "/json", json.dumps(document), JSON)
    assert (answer.status, answer.json) == (200, document)


@every_server
@pytest.mark.parametrize("path", ["/upload", "/stream-up"])
def test_a_mebibyte_arrives(server, path):
    answer = server.request("POST", path, UPLOAD, BINARY)
    assert (answer.status, answer.json) == (200, digest(UPLOAD))


@every_server
@pytest.mark.parametrize("path", ["/upload", "/stream-up"])
def test_a_chunked_mebibyte_arrives(server, path):
    answer = server.request("POST", path, iter(pieces(UPLOAD, 10_000)), BINARY)
    assert (answer.status, answer.json) == (200, digest(UPLOAD))


@every_server
@pytest.mark.parametrize("path", ["/upload", "/stream-up"])
def test_an_empty_body_arrives(server, path):
    with server.connection() as client:
        assert client.exchange("POST", path, b"", BINARY).json == digest(b"")
        assert client.exchange("POST", path, iter([]), BINARY).json == digest(b"")


@every_server
def test_a_chunked_form_arrives(server):
    answer = server.request("POST", "/form", iter([b"name=A", b"da&tag=", b"x"]), FORM)
    assert (answer.status, answer.json) == (200, {"name": ["Ada"], "tag": ["x"]})


@for_servers(lambda case: case.multipart)
def test_a_form_with_a_file_arrives(server):
    boundary = "a-line-that-is-not-in-the-file"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="note"\r\n\r\nthe file\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="upload"; filename="data.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body += UPLOAD + f"\r\n--{boundary}--\r\n".encode()
    answer = server.request(
        "POST", "/multipart", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    expected = {"filename": "data.bin", "note": "the file", **digest(UPLOAD)}
    assert (answer.status, answer.json) == (200, expected)


@every_server
def test_bodies_and_other_requests_follow_each_other_on_one_connection(server):
    with server.connection() as client:
        for size in (0, 1, 1000, 100_000):
            body = UPLOAD[:size]
            assert client.exchange("POST", "/upload", body, BINARY).json == digest(body)
            assert client.exchange("GET", "/hello").text == site.GREETING
            assert client.exchange("POST", "/stream-up", iter(pieces(body, 333)), BINARY).json == digest(body)


@every_server
def test_a_body_that_the_site_does_not_read_is_no_next_request(server):
    body = b"GET /greet/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as client:
        client.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"smuggled" not in received
    assert received.startswith(b"HTTP/1.1 404 ")


@every_server
def test_a_client_that_asks_is_told_to_continue(server):
    with server.connect() as client:
        client.sendall(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        # Nothing of the body is sent before the server has asked for it.
        first = client.recv(25, 0)
        assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"data")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert hashlib.sha256(b"data").hexdigest().encode() in received


@for_servers(lambda case: case.site == "plain-asgi")
def test_a_piece_of_the_body_arrives_before_the_next_one_is_sent(server):
    with server.connect() as client, client.makefile("rb") as answers:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"5\r\nfirst\r\n")
        head = b"".join(iter(answers.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 200 ")
        assert answers.read(10) == b"5\r\nfirst\r\n"
        client.sendall(b"4\r\nlast\r\n")
        assert answers.read(9) == b"4\r\nlast\r\n"
        client.sendall(b"0\r\n\r\n")
        assert answers.read(5) == b"0\r\n\r\n"


@for_servers(lambda case: case.interface == "wsgi" and case.threads == 1)
def test_a_slow_upload_holds_nobody_up(server):
    with server.connect() as slow:
        slow.sendall(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 8\r\nConnection: close\r\n\r\nhalf"
        )
        assert server.request("GET", "/hello").text == site.GREETING
        slow.sendall(b"full")
        received = b"".join(iter(lambda: slow.recv(65536), b""))
    assert hashlib.sha256(b"halffull").hexdigest().encode() in received
