"""Connections with TLS on a worker that drains."""

from __future__ import annotations

import ssl

import pytest

from sdserve.host import scoreboard
from tests.certificates import options
from tests.worker.answers import wsgi_hello
from tests.worker.moving import wait_until
from tests.worker.serving import REQUEST


def test_a_connection_with_tls_stays_and_its_next_answer_is_the_last(authority, pair):
    tls = options(authority.issue("a.example"))
    application = {"application": wsgi_hello}
    old, new, heir = pair(application, application, tls=tls)
    client = old.connect_tls(authority.client_context())
    assert "connection" not in client.request().fields
    old.drain(heir())
    answer = client.request()
    assert (answer.status, answer.fields["connection"]) == (200, "close")
    assert client.is_over()
    assert new.row.words[scoreboard.ADOPTED] == 0
    old.wait_until_drained()


def test_an_answer_that_has_begun_before_the_drain_is_not_the_last(authority, pair):
    """Its head has not said so, and the client may have sent its next request by now."""
    tls = options(authority.issue("a.example"))
    go_on = []

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        wait_until(lambda: go_on)
        yield b"two"

    both = {"application": application, "threads": 2}
    old, _, heir = pair(both, both, tls=tls)
    client = old.connect_tls(authority.client_context())
    client.send(REQUEST)
    status, fields = client.head()
    assert client.chunk() == b"one"
    old.drain(heir())
    client.send(REQUEST)
    go_on.append(True)
    assert (status, "connection" in fields) == (200, False)
    assert [client.chunk(), client.chunk()] == [b"two", b""]
    assert client.response().fields["connection"] == "close"
    old.wait_until_drained()


def test_an_idle_connection_is_closed_in_order_after_a_while(authority, pair, monkeypatch):
    monkeypatch.setattr("sdserve.worker.server._QUIET", 0.1)
    both = {"application": wsgi_hello}
    old, _, heir = pair(both, both, tls=options(authority.issue("a.example")))
    client = old.connect_tls(authority.client_context())
    assert client.request().status == 200
    old.drain(heir())
    assert client.rest() == b""  # and no SSLEOFError
    old.wait_until_drained()


def test_a_connection_on_which_nothing_has_come_is_handed_over(authority, pair):
    both = {"application": wsgi_hello}
    old, new, heir = pair(both, both, tls=options(authority.issue("a.example")))
    client = old.connect()
    wait_until(lambda: len(old.server._handshakes))
    old.drain(heir())
    wait_until(lambda: new.row.words[scoreboard.ADOPTED])
    old.wait_until_drained()
    wrapped = authority.client_context().wrap_socket(client.socket, server_hostname="a.example")
    with wrapped:
        wrapped.sendall(REQUEST)
        assert wrapped.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_handshake_that_has_begun_ends_where_it_began(authority, pair):
    both = {"application": wsgi_hello}
    old, new, heir = pair(both, both, tls=options(authority.issue("a.example")))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    connected = old.connect().socket
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    connected.sendall(hello[:10])
    old.wait_for(lambda: any(layer.has_begun for layer in old.server._handshakes._layers))
    old.drain(heir())
    connected.sendall(hello[10:])
    answer = b""
    while b"connection: close" not in answer:
        try:
            client.do_handshake()
            client.write(REQUEST if not answer else b"")
            connected.sendall(outgoing.read())
            incoming.write(connected.recv(65536))
            answer += client.read(65536)
        except ssl.SSLWantReadError:
            connected.sendall(outgoing.read())
            incoming.write(connected.recv(65536))
    assert new.row.words[scoreboard.ADOPTED] == 0
    old.wait_until_drained()


def test_without_heirs_a_silent_connection_does_not_hold_a_worker_up(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")), drain_timeout=60.0)
    silent = worker.connect()
    wait_until(lambda: len(worker.server._handshakes))
    worker.drain()
    assert silent.is_over()
    worker.wait_until_drained()


def test_a_handshake_that_does_not_end_is_cut_off_with_the_worker(serve, authority):
    worker = serve(wsgi_hello, tls=options(authority.issue("a.example")), drain_timeout=0.2)
    begun = worker.connect()
    begun.send(b"\x16\x03")
    worker.wait_for(lambda: any(layer.has_begun for layer in worker.server._handshakes._layers))
    worker.drain()
    worker.wait_until_drained()
    assert begun.is_over()
