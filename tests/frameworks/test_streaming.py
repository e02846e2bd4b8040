"""Answers that come in pieces, large ones, and ones that end too early."""

from __future__ import annotations

import http.client
import random

import pytest

from tests.frameworks.apps import site
from tests.frameworks.cases import every_server, for_servers

MIB = 1024 * 1024


@every_server
def test_a_piece_is_sent_before_the_next_one_exists(server, gate):
    # PEP 3333, "Buffering and Streaming": no block may be delayed.
    with server.connection() as client:
        client.request("GET", f"/stream-down?gate={gate.path}")
        answer = client.getresponse()
        assert answer.status == 200
        assert answer.readline().decode() == site.FIRST
        gate.open()
        assert answer.read().decode() == site.LAST
        assert client.exchange("GET", "/hello").text == site.GREETING


@for_servers(lambda case: case.concurrent)
def test_others_are_served_while_an_answer_is_on_its_way(server, gate):
    with server.connection() as client:
        client.request("GET", f"/stream-down?gate={gate.path}")
        answer = client.getresponse()
        assert answer.readline().decode() == site.FIRST
        assert server.request("GET", "/hello").text == site.GREETING
        gate.open()
        assert answer.read().decode() == site.LAST


@every_server
def test_pieces_for_an_old_client_end_with_the_connection(server, gate):
    gate.open()
    with server.connect() as client:
        client.sendall(f"GET /stream-down?gate={gate.path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body.decode() == site.FIRST + site.LAST


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "large"
    path.write_bytes(random.Random(2).randbytes(3 * MIB))
    return path


@every_server
def test_a_large_file_arrives(server, large_file):
    answer = server.request("GET", f"/file?path={large_file}")
    assert answer.status == 200
    assert answer.body == large_file.read_bytes()


@every_server
def test_a_client_that_reads_slowly_holds_nobody_up(server, large_file):
    with server.connection() as slow:
        slow.request("GET", f"/file?path={large_file}")
        assert server.request("GET", "/hello").text == site.GREETING
        assert slow.getresponse().read() == large_file.read_bytes()


@every_server
def test_a_client_that_goes_away_in_the_middle_harms_nobody(server, large_file):
    with server.connection() as client:
        client.request("GET", f"/file?path={large_file}")
        client.getresponse().read(1000)
    assert server.request("GET", "/hello").text == site.GREETING


@every_server
def test_an_answer_that_fails_midway_is_seen_to_be_incomplete(server):
    with server.connection() as client:
        client.request("GET", "/error-midway")
        answer = client.getresponse()
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    assert server.request("GET", "/hello").text == site.GREETING


@every_server
def test_an_error_is_a_500_and_the_connection_lives_on(server):
    with server.connection() as client:
        assert client.exchange("GET", "/error").status == 500
        assert client.exchange("GET", "/hello").text == site.GREETING


@every_server
def test_an_error_is_in_the_log(server):
    server.request("GET", "/error")
    assert f"{site.DeliberateError.__name__}: as asked for" in server.stderr()
