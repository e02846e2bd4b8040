"""What the log says of broken requests."""

from __future__ import annotations

import logging
import time

import pytest

from sdserve.errors import RemoteProtocolError
from sdserve.worker import refusals
from sdserve.worker.refusals import Refusals
from tests.worker.answers import wsgi_hello
from tests.worker.serving import TIMEOUT

LOCAL = ("127.0.0.1", 80)
ERROR = RemoteProtocolError("Host is missing", 400)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "sdserve.http")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_flood_is_counted(lines):
    said = Refusals()
    for _ in range(refusals._MOST + 15):
        said.refused(("192.0.2.1", 5), LOCAL, ERROR)
    assert lines() == ["refused a request from 192.0.2.1:5 with 400: Host is missing"] * refusals._MOST
    said.tick()
    assert lines()[refusals._MOST :] == ["refused 15 more requests, which are not listed"]
    said.refused(("192.0.2.1", 5), LOCAL, ERROR)
    assert len(lines()) == refusals._MOST + 2


def test_there_is_nothing_to_say_of_none_and_of_few(lines):
    said = Refusals()
    said.tick()
    said.refused(("192.0.2.1", 5), LOCAL, ERROR)
    said.tick()
    said.tick()
    assert len(lines()) == 1


@pytest.mark.parametrize(
    ("client", "local", "who"),
    [
        (("2001:db8::1", 5), ("::1", 80), "[2001:db8::1]:5"),
        (None, ("/run/shop.sock", None), "a client of unix:/run/shop.sock"),
    ],
)
def test_who_it_was(lines, client, local, who):
    Refusals().refused(client, local, ERROR)
    assert lines() == [f"refused a request from {who} with 400: Host is missing"]


def test_nothing_of_the_request_is_in_the_log(serve):
    worker = serve(wsgi_hello)
    client = worker.connect()
    host, port = client.socket.getsockname()
    client.send(b"GET /\x1b[31mevil HTTP/1.1\r\nHost: evil\r\n\r\n")
    assert client.response().status == 400
    (text,) = [text for text in worker.log.texts(logging.INFO) if "refused" in text]
    assert text.startswith(f"refused a request from {host}:{port} with 400: ")
    assert "evil" not in text


def test_the_worker_counts_until_its_tick(serve, monkeypatch):
    monkeypatch.setattr(refusals, "_MOST", 1)
    worker = serve(wsgi_hello)
    clients = [worker.connect() for _ in range(3)]
    for client in clients:
        client.request()

    def refuse_all():
        for protocol in list(worker.server._protocols):
            protocol._refuse(ERROR)

    worker.call(refuse_all)
    assert [client.response().status for client in clients] == [400] * 3
    deadline = time.monotonic() + TIMEOUT
    while "refused 2 more requests, which are not listed" not in worker.log.texts():
        assert time.monotonic() < deadline
        worker.settle()
    assert sum("refused a request" in text for text in worker.log.texts()) == 1
