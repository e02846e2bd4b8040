"""What an application is told of TLS, and of its client's certificate."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from sdserve.core.tls.certificate import to_pem
from tests.certificates import Authority, options
from tests.worker.answers import http_only, wsgi_hello
from tests.worker.moving import wait_until
from tests.worker.serving import REQUEST, TIMEOUT


def environ_of(*names):
    """An application that answers with what these variables hold."""

    def application(environ, start_response):
        start_response("200 OK", [])
        return ["\n".join(str(environ.get(name)) for name in names).encode()]

    return application


class Scopes:
    """An ASGI application that keeps its scopes."""

    def __init__(self):
        self.seen = []
        self.application = http_only(self)

    async def __call__(self, scope, receive, send):
        self.seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


def test_wsgi_is_told(serve, authority):
    names = ("wsgi.url_scheme", "HTTPS", "SSL_PROTOCOL", "SSL_CIPHER", "SSL_CLIENT_VERIFY", "SSL_CLIENT_CERT")
    worker = serve(environ_of(*names, "SERVER_PORT"), tls=options(authority.issue("a.example")))
    client = worker.connect_tls(authority.client_context())
    forged = client.request(REQUEST.replace(b"\r\n\r\n", b"\r\nSSL-CLIENT-VERIFY: SUCCESS\r\n\r\n"))
    assert forged.body.decode().split("\n") == [
        "https",
        "on",
        "TLSv1.3",
        client.socket.cipher()[0],
        "NONE",
        "None",
        str(worker.address[1]),
    ]


def test_asgi_is_told(serve, authority):
    scopes = Scopes()
    pairs = [authority.issue("a.example"), authority.issue("b.example")]
    worker = serve(scopes.application, tls=options(*pairs))
    client = worker.connect_tls(authority.client_context(), "b.example")
    assert client.request().status == client.request().status == 200
    first, second = scopes.seen
    assert first["scheme"] == "https"
    assert first["extensions"]["tls"] == {
        "server_cert": to_pem(client.socket.getpeercert(True)),
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1302,
    }
    assert first["extensions"]["tls"] is not second["extensions"]["tls"]


def test_without_tls_nothing_is_told(serve):
    scopes = Scopes()
    assert serve(scopes.application).request().status == 200
    assert scopes.seen[0]["scheme"] == "http"
    assert "tls" not in scopes.seen[0]["extensions"]


def test_a_client_shows_its_certificate(serve, authority):
    scopes = Scopes()
    worker = serve(scopes.application, tls=options(authority.issue("a.example"), client_ca=authority.file))
    shown = authority.issue("client.example")
    client = worker.connect_tls(authority.client_context(shown))
    assert client.request().status == 200
    told = scopes.seen[0]["extensions"]["tls"]
    assert told["client_cert_chain"][0] in Path(shown.certificate).read_text()
    assert told["client_cert_name"].startswith("CN=client.example,")


def test_wsgi_is_told_of_the_clients_certificate(serve, authority):
    names = ("SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "SSL_CLIENT_I_DN", "SSL_CLIENT_M_SERIAL")
    worker = serve(environ_of(*names), tls=options(authority.issue("a.example"), client_ca=authority.file))
    client = worker.connect_tls(authority.client_context(authority.issue("client.example")))
    verified, subject, issuer, serial = client.request().body.decode().split("\n")
    assert verified == "SUCCESS"
    assert subject.startswith("CN=client.example,")
    assert issuer.startswith("OU=")
    assert int(serial, 16) > 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_without_a_certificate_a_client_is_refused(serve, authority, version, tmp_path):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example"), client_ca=authority.file))
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    for pair in (None, stranger.issue("client.example")):
        context = authority.client_context(pair)
        context.maximum_version = version
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            worker.connect_tls(context).request()
    wait_until(lambda: any("no TLS with 127.0.0.1" in text for text in worker.log.texts()))


def test_a_certificate_may_be_optional(serve, authority, tmp_path):
    worker = serve(
        environ_of("SSL_CLIENT_VERIFY"),
        tls=options(authority.issue("a.example"), client_ca=authority.file, client_certificate="optional"),
    )
    assert worker.connect_tls(authority.client_context()).request().body == b"NONE"
    with_one = authority.client_context(authority.issue("client.example"))
    assert worker.connect_tls(with_one).request().body == b"SUCCESS"
    (tmp_path / "other").mkdir()
    wrong_one = authority.client_context(Authority(tmp_path / "other").issue("client.example"))
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        worker.connect_tls(wrong_one).request()


def test_a_session_that_is_resumed_is_told_the_same(serve, authority):
    scopes = Scopes()
    worker = serve(scopes.application, tls=options(authority.issue("a.example"), client_ca=authority.file))
    context = authority.client_context(authority.issue("client.example"))
    first = worker.connect_tls(context)
    assert first.request().status == 200
    with socket.create_connection(worker.address, TIMEOUT) as connected:
        second = context.wrap_socket(connected, server_hostname="a.example", session=first.socket.session)
        with second:
            assert second.session_reused
            second.sendall(REQUEST)
            assert second.recv(1000).startswith(b"HTTP/1.1 200")
    assert scopes.seen[0]["extensions"]["tls"] == scopes.seen[1]["extensions"]["tls"]
