"""Clients that leave before their answer, and ones that only seem to."""

from __future__ import annotations

import os
import select
import socket

import pytest

from tests.frameworks.apps import site
from tests.frameworks.cases import every_server, for_servers
from tests.serving import TIMEOUT


class Marks:
    """How far an answer has come, told by the site through a FIFO."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = str(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def next(self):
        assert select.select([self._descriptor], [], [], TIMEOUT)[0], "the site has not said a word"
        return os.read(self._descriptor, 1)

    def close(self):
        os.close(self._descriptor)


@pytest.fixture
def marks(tmp_path):
    told = Marks(tmp_path / "marks")
    yield told
    told.close()


def leave(server, path, marks):
    """Ask for an answer that takes for ever, and go."""
    with server.connect() as client:
        client.sendall(f"GET {path}?marks={marks.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert marks.next() == b"b"
    assert marks.next() == b"l"
    assert server.request("GET", "/hello").text == site.GREETING


@for_servers(lambda case: case.interface == "asgi")
def test_a_site_learns_that_its_client_has_left(server, marks):
    leave(server, "/leave", marks)


@for_servers(lambda case: case.site == "starlette")
def test_a_site_behind_middleware_learns_that_its_client_has_left(server, marks):
    leave(server, "/behind/leave", marks)


@every_server
def test_a_client_that_has_nothing_more_to_send_gets_its_answer(server):
    # As `nc -N` and socat do.
    with server.connect() as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(site.GREETING.encode())


@for_servers(lambda case: case.concurrent)
def test_a_client_that_has_nothing_more_to_send_gets_an_answer_that_takes_a_moment(server, gate):
    with server.connect() as client:
        request = f"GET /stream-down?gate={gate.path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.sendall(request.encode())
        client.shutdown(socket.SHUT_WR)
        received = client.recv(65536)
        gate.open()
        received += b"".join(iter(lambda: client.recv(65536), b""))
    assert site.FIRST.encode() in received
    assert site.LAST.encode() in received
    assert received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("path", ["/hinted", "/behind/hinted"])
@for_servers(lambda case: case.site == "starlette")
def test_a_hint_precedes_the_answer(server, path):
    with server.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(
        b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style\r\n\r\nHTTP/1.1 200 OK\r\n"
    )
    assert received.endswith(site.GREETING.encode())


@for_servers(lambda case: case.site == "starlette")
def test_a_file_behind_middleware(server, tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "file").write_bytes(data)
    answer = server.request("GET", f"/behind/file?path={tmp_path}/file")
    assert answer.body == data
