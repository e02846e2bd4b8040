"""TLS between real sockets: Python's ssl as the client, both event loops."""

from __future__ import annotations

import socket
import ssl
import sys
import time
import warnings
from contextlib import suppress

import pytest

from sdserve.host import scoreboard
from tests.certificates import options
from tests.worker.answers import http_only, wsgi_hello
from tests.worker.moving import wait_until
from tests.worker.serving import REQUEST, TIMEOUT


def server_name(client):
    """The first name in the certificate that the server has shown."""
    return client.socket.getpeercert()["subjectAltName"][0][1]


def test_requests_and_answers_of_all_sizes(serve, authority):
    def echo(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    worker = serve(echo, tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    for size in (1, 16_383, 16_384, 16_385, 1_000_000):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
        assert client.request(head + body).body == body
    assert client.socket.version() == "TLSv1.3"


def test_a_request_that_comes_byte_by_byte(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    for octet in REQUEST:
        client.send(bytes([octet]))
    assert client.response().status == 200


def test_a_hello_that_comes_byte_by_byte_with_the_request_behind_the_handshake(serve, authority):
    """The client's last words of the handshake and its request arrive in one piece."""
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    with socket.create_connection(worker.address, TIMEOUT) as connected:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        for octet in outgoing.read():
            connected.sendall(bytes([octet]))
        while True:
            incoming.write(connected.recv(65536))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        client.write(REQUEST)
        connected.sendall(outgoing.read())
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200"):
            incoming.write(connected.recv(65536))
            try:
                answer += client.read(65536)
            except ssl.SSLWantReadError:
                continue


def test_pipelined_requests_in_one_record(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    client.send(REQUEST * 50)
    assert [client.response().status for _ in range(50)] == [200] * 50


def test_each_name_has_its_certificate_and_the_first_one_answers_for_all_others(serve, authority):
    pairs = [authority.issue("a.example"), authority.issue("b.example", "*.b.example")]
    worker = serve(wsgi_hello, tls=options(*pairs))
    context = authority.client_context()
    context.check_hostname = False
    shown = {
        name: server_name(worker.connect_tls(context, name))
        for name in ("a.example", "b.example", "B.example", "x.b.example", "other.example", None)
    }
    assert shown == {
        "a.example": "a.example",
        "b.example": "b.example",
        "B.example": "b.example",
        "x.b.example": "b.example",
        "other.example": "a.example",
        None: "a.example",
    }


def test_a_name_that_is_none_fails_the_handshake_and_fills_no_log(serve, authority, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    pairs = [authority.issue("a.example"), authority.issue("b.example")]
    worker = serve(wsgi_hello, tls=options(*pairs))
    outgoing = ssl.MemoryBIO()
    hello = authority.client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="zzzz.example")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    client = worker.connect()
    client.send(outgoing.read().replace(b"zzzz", b"\xff\xfe\xfdz"))
    assert client.rest()[:1] == b"\x15"  # an alert
    worker.settle()
    assert unraisable == []
    assert worker.connect_tls(authority.client_context()).request().status == 200


def test_alpn_agrees_on_http_1_1(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example"), authority.issue("b.example")))
    context = authority.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name in ("a.example", "b.example"):
        client = worker.connect_tls(context, name)
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        assert client.request().status == 200


def test_old_versions_are_refused(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    context = authority.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        worker.connect_tls(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert worker.connect_tls(context).socket.version() == "TLSv1.2"
    wait_until(lambda: any("UNSUPPORTED_PROTOCOL" in text for text in worker.log.texts()))


def test_the_oldest_version_can_be_1_3(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example"), minimum_version="1.3"))
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        worker.connect_tls(context)


def test_ciphers_without_forward_secrecy_are_refused(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES256-SHA:ECDHE-ECDSA-AES256-SHA")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        worker.connect_tls(context)


def test_plain_http_gets_a_400_that_can_be_read(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    client = worker.connect()
    answer = client.request(REQUEST + b"x" * 100_000)  # unread bytes would reset the answer away
    assert (answer.status, answer.fields["connection"]) == (400, "close")
    assert b"Use https://" in answer.body
    assert client.is_over()
    assert worker.connect_tls(authority.client_context()).request().status == 200


def test_what_is_neither_tls_nor_http_is_not_answered(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    for data in (b"\x00\x01\x02", b"\x80\x2e\x01\x03\x01", b"\r\n\r\n"):
        client = worker.connect()
        client.send(data)
        assert client.is_over()


def test_garbage_after_the_first_byte(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    client = worker.connect()
    client.send(b"\x16" + b"x" * 10_000)
    assert client.is_over()
    assert worker.connect_tls(authority.client_context()).request().status == 200


def test_garbage_after_the_handshake_ends_the_connection(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    assert client.request().status == 200
    raw = client.socket.detach()
    with socket.socket(fileno=raw) as connected:
        connected.settimeout(TIMEOUT)
        connected.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with suppress(ConnectionResetError):
            while connected.recv(1000):
                continue
    assert worker.connect_tls(authority.client_context()).request().status == 200


def test_a_slow_handshake_is_ended(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example"), handshake_timeout=0.1))
    silent, begun = worker.connect(), worker.connect()
    begun.send(b"\x16\x03\x01")
    assert silent.is_over()
    assert begun.is_over()
    wait_until(lambda: not len(worker.server._handshakes))
    assert worker.row.words[scoreboard.CONNECTIONS] == 0


def test_a_client_that_leaves_during_the_handshake(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")), max_connections=2)
    for _ in range(20):  # each would hold a place for ever
        worker.connect().close()
        reset = worker.connect()
        reset.send(b"\x16")
        reset.reset()
    assert worker.connect_tls(authority.client_context()).request().status == 200


def test_a_client_that_ends_its_direction_is_answered(serve, authority):
    """close_notify is for one direction: RFC 8446 section 6.1."""
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    with socket.create_connection(worker.address, TIMEOUT) as connected:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connected.sendall(outgoing.read())
                incoming.write(connected.recv(65536))
        client.write(REQUEST)
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        connected.sendall(outgoing.read())
        received = 0
        while data := connected.recv(65536):
            received += len(data)
        assert received > 100  # tickets, an answer, and a close_notify


def test_an_answer_that_only_the_end_of_the_connection_ends(serve, authority):
    """The client can tell it from one that was cut off: the good-bye of TLS."""

    def application(environ, start_response):
        start_response("200 OK", [])
        return iter([b"one", b"two"])

    worker = serve(application, tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.rest().endswith(b"onetwo")


def test_an_answer_that_was_cut_off_has_no_goodbye(serve, authority):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        raise OSError("broken")

    worker = serve(application, tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        client.rest()


def test_a_refused_body_does_not_reset_the_answer_away(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")), max_body=10)
    client = worker.connect_tls(authority.client_context())
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    assert client.response().status == 413
    assert client.is_over()


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_files_are_sent(serve, authority, tmp_path, interface):
    """Not by the kernel, which would send them as they are."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4096 * 3)

    def wsgi(environ, start_response):
        start_response("200 OK", [("Content-Length", str(path.stat().st_size))])
        return environ["wsgi.file_wrapper"](open(path, "rb"))

    async def asgi(scope, receive, send):
        fields = [(b"content-length", str(path.stat().st_size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.pathsend", "path": str(path)})

    application = wsgi if interface == "wsgi" else http_only(asgi)
    worker = serve(application, tls=options(authority.issue("a.example")), max_output=16384)
    client = worker.connect_tls(authority.client_context())
    for _ in range(2):
        assert client.request().body == path.read_bytes()


def test_who_writes_waits_for_a_client_that_does_not_read(serve, authority):
    made = []

    def application(environ, start_response):
        start_response("200 OK", [])
        for number in range(1000):
            made.append(number)
            yield b"x" * 65536

    worker = serve(application, tls=options(authority.issue("a.example")), threads=2)
    client = worker.connect_tls(authority.client_context())
    client.send(REQUEST)
    wait_until(lambda: made)
    time.sleep(0.2)  # nothing tells that nothing happens
    assert len(made) < 500
    assert len(client.response().body) == 65_536_000


# New certificates


def test_new_certificates_are_for_new_connections(serve, authority):
    files = authority.issue("a.example", "old.example")
    worker = serve(wsgi_hello, tls=options(files))
    context = authority.client_context()
    before = worker.connect_tls(context)
    assert before.request().status == 200
    assert authority.issue("a.example", "new.example") == files
    worker.call(worker.use_certificates)
    after = worker.connect_tls(context)
    assert [after.socket.getpeercert()["subjectAltName"][1][1], after.request().status] == [
        "new.example",
        200,
    ]
    assert before.request().status == 200
