"""Proxies, as far as a client on a raw socket can pose as one."""

from __future__ import annotations

import json
import os
import struct
import time

import pytest

from sdserve.core.proxy.header import PEEK
from sdserve.host import scoreboard
from sdserve.worker import proxies
from tests.proxies import reports
from tests.worker.serving import REQUEST

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n"
LOOPBACK = ("127.0.0.0/8", "::1")
TRUSTED = {"trusted": LOOPBACK}
BEHIND = {"trusted": LOOPBACK, "proxy_protocol": True}
EVERYTHING = {
    "trusted": (*LOOPBACK, "unix"),
    "trusted_fields": ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"),
}
ALL_FIELDS = (
    b"X-Forwarded-For: 192.0.2.66, 192.0.2.1:4711",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: shop.example",
    b"X-Forwarded-Prefix: /de",
)


@pytest.fixture(params=["inline", "pooled", "asgi"])
def start(request, serve):
    """Start a worker that reports, called in each way."""

    def start(listen, **options):
        threads = 4 if request.param == "pooled" else 1
        application = reports.asgi if request.param == "asgi" else reports.wsgi
        return serve(application, threads=threads, listen=listen, **options)

    return start


def get(*fields, path=b"/a%20b"):
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: inner", *fields, b"", b""])


def ask(client, *fields, path=b"/a%20b"):
    response = client.request(get(*fields, path=path))
    assert response.status == 200
    return json.loads(response.body)


def texts(worker, logger):
    return [record.getMessage() for record in worker.log.records if record.name == logger]


# Fields


def test_both_interfaces_are_told_the_same(start):
    worker = start(EVERYTHING)
    client = worker.connect()
    report = ask(client, *ALL_FIELDS)
    assert report == {
        "client": ["192.0.2.1", 4711],
        "server": ["127.0.0.1", str(worker.address[1])],
        "scheme": "https",
        "root_path": "/de",
        "path": "/de/a b",
        "host": "shop.example",
        "uid": None,
        "pid": None,
    }
    assert texts(worker, "sdserve.proxy") == []


def test_each_request_of_a_connection_has_its_own_client(start):
    client = start(TRUSTED).connect()
    own = ["127.0.0.1", client.socket.getsockname()[1]]
    assert ask(client, b"X-Forwarded-For: 192.0.2.1")["client"] == ["192.0.2.1", 0]
    assert ask(client)["client"] == own
    assert ask(client, b"X-Forwarded-Proto: https")["client"] == own
    assert ask(client, b"X-Forwarded-For: 192.0.2.2", b"X-Forwarded-Proto: https")["scheme"] == "https"
    assert ask(client)["scheme"] == "http"
    assert ask(client, b"X-Forwarded-For: unknown")["client"] == ["", 0]


def test_a_unix_socket_is_trusted_if_that_is_written(start, tmp_path):
    worker = start(EVERYTHING, unix=str(tmp_path / "socket"))
    client = worker.connect()
    assert ask(client)["server"] == ["localhost", "80"]
    report = ask(client, *ALL_FIELDS)
    assert (report["client"], report["server"]) == (["192.0.2.1", 4711], ["localhost", "80"])
    assert (report["uid"], report["pid"]) == (os.geteuid(), os.getpid())


@pytest.mark.parametrize("trusted", [(), ("0.0.0.0/0", "::/0"), LOOPBACK])
def test_a_unix_socket_is_not_trusted_otherwise(start, tmp_path, trusted):
    path = str(tmp_path / "socket")
    worker = start({**EVERYTHING, "trusted": trusted}, unix=path)
    report = ask(worker.connect(), *ALL_FIELDS)
    assert report == {
        "client": ["", 0],
        "server": ["localhost", "80"],
        "scheme": "http",
        "root_path": "",
        "path": "/a b",
        "host": "inner",
        "uid": os.geteuid(),
        "pid": os.getpid(),
    }
    (line,) = texts(worker, "sdserve.proxy")
    assert line.startswith(f"a peer of {path} (uid {os.geteuid()}, pid {os.getpid()}) sent x-forwarded-for")


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "unix", "::1")])
def test_who_is_not_trusted_is_ignored_and_that_is_told(start, trusted):
    worker = start({**EVERYTHING, "trusted": trusted})
    client = worker.connect()
    own = ["127.0.0.1", client.socket.getsockname()[1]]
    for _ in range(3):
        report = ask(client, *ALL_FIELDS)
        assert (report["client"], report["scheme"], report["host"], report["path"]) == (
            own,
            "http",
            "inner",
            "/a b",
        )
    (line,) = texts(worker, "sdserve.proxy")
    assert line == (
        "127.0.0.1 sent x-forwarded-for, x-forwarded-host, x-forwarded-prefix, x-forwarded-proto "
        "and is not in listen:http.trusted: ignored; add it there if it is your proxy"
    )


def test_it_is_told_once_a_minute(serve, monkeypatch):
    monkeypatch.setattr(proxies, "_SAY_EVERY", 0.2)
    worker = serve(reports.wsgi)
    client = worker.connect()
    deadline = time.monotonic() + 10
    while len(lines := texts(worker, "sdserve.proxy")) < 2:
        assert time.monotonic() < deadline
        ask(client, b"Forwarded: for=192.0.2.1")
    assert lines[0].startswith("127.0.0.1 sent forwarded and is not in")
    assert lines[1].startswith(lines[0])
    assert "more such requests since the last of these lines)" in lines[1]


def test_a_twin_reaches_no_application_and_is_no_reason_for_a_warning(start):
    worker = start(EVERYTHING)
    report = ask(worker.connect(), b"X_Forwarded_For: 192.0.2.1", b"X-Forwarded_Host: evil")
    assert (report["client"][0], report["host"]) == ("127.0.0.1", "inner")
    assert texts(worker, "sdserve.proxy") == []


def test_what_nobody_can_mean_is_refused(start):
    worker = start({**TRUSTED, "trusted_fields": ("forwarded",)})
    client = worker.connect()
    response = client.request(get(b'Forwarded: for="_x, for=192.0.2.1'))
    assert response.status == 400
    assert client.is_over()
    assert "Forwarded is malformed" in texts(worker, "sdserve.http")[0]
    assert worker.server.in_flight == 0


def test_a_path_outside_of_the_root_path_is_not_found(start):
    worker = start({"root_path": "/shop"})
    assert ask(worker.connect(), path=b"/shop/a")["root_path"] == "/shop"
    assert ask(worker.connect(), path=b"/shop")["path"] == "/shop"
    assert worker.request(get(path=b"/a")).status == 404
    assert worker.request(get(path=b"/shopping")).status == 404
    assert "listen.root_path = /shop" in texts(worker, "sdserve.http")[0]


# PROXY headers


def v2(source=bytes([192, 0, 2, 1]), command=0x21, more=b""):
    block = source + bytes([198, 51, 100, 2]) + struct.pack("!HH", 4711, 443) + more
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, 0x11]) + struct.pack("!H", len(block)) + block


TLS = b"\x20\x00\x05\x01\x00\x00\x00\x00"


@pytest.mark.parametrize(
    "header", [LINE, v2(), v2(more=b"\xe0\x04\x00" + bytes(1024))], ids=["v1", "v2", "long"]
)
def test_the_client_is_whom_the_header_names(start, header):
    worker = start(BEHIND)
    client = worker.connect()
    client.send(header + get())
    report = json.loads(client.response().body)
    assert (report["client"], report["server"]) == (["192.0.2.1", 4711], ["198.51.100.2", "443"])
    assert report["scheme"] == "http"
    assert ask(client)["client"] == ["192.0.2.1", 4711]


def test_a_header_that_comes_in_pieces(start):
    worker = start(BEHIND)
    client = worker.connect()
    worker.settle()
    for byte in v2(more=b"\xe0\x01\x00" + bytes(PEEK)):
        client.send(bytes([byte]))
    client.send(get())
    assert json.loads(client.response().body)["client"] == ["192.0.2.1", 4711]


def test_who_spoke_tls_to_the_proxy_spoke_https(start):
    client = start(BEHIND).connect()
    client.send(v2(more=TLS))
    assert ask(client)["scheme"] == "https"


def test_a_proxy_that_speaks_for_itself(start):
    client = start(BEHIND).connect()
    client.send(v2(command=0x20))
    assert ask(client)["client"] == ["127.0.0.1", client.socket.getsockname()[1]]


def test_on_a_unix_socket(start, tmp_path):
    worker = start({"trusted": ("unix",), "proxy_protocol": True}, unix=str(tmp_path / "socket"))
    client = worker.connect()
    client.send(LINE)
    report = ask(client)
    assert (report["client"], report["uid"]) == (["192.0.2.1", 4711], os.geteuid())


def test_behind_a_header_fields_are_those_of_who_is_named_in_it(start):
    """The proxy relays bytes: what it has not set it has not checked."""
    worker = start({**EVERYTHING, "proxy_protocol": True, "trusted": (*LOOPBACK, "192.0.2.0/24")})
    client = worker.connect()
    client.send(b"PROXY TCP4 203.0.113.1 198.51.100.2 4711 443\r\n")
    assert ask(client, *ALL_FIELDS)["client"] == ["203.0.113.1", 4711]
    assert texts(worker, "sdserve.proxy")[0].startswith("203.0.113.1, by 127.0.0.1, sent x-forwarded-for")
    client = worker.connect()
    client.send(LINE)
    assert ask(client, b"X-Forwarded-For: 203.0.113.7")["client"] == ["203.0.113.7", 0]
    for header in (b"PROXY UNKNOWN\r\n", v2(command=0x20)):
        client = worker.connect()
        client.send(header)
        assert ask(client, b"X-Forwarded-For: 203.0.113.7")["client"][0] == "127.0.0.1"


def refused(worker, data):
    client = worker.connect()
    client.send(data)
    assert client.rest_of_cut() == b""
    worker.wait_for(lambda: not worker.server._adoptions)
    return texts(worker, "sdserve.http")[-1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (REQUEST, "no PROXY header"),
        (b"\x16\x03\x01\x02\x00", "no PROXY header"),
        (LINE.replace(b"TCP4", b"TCP6"), "a PROXY line with a bad address"),
        (LINE.replace(b"\r", b""), "a malformed PROXY line"),
        (v2(command=0x22), "a PROXY header of an unknown version or command"),
    ],
)
def test_without_a_header_there_is_no_connection(serve, data, reason):
    worker = serve(reports.wsgi, listen=BEHIND)
    line = refused(worker, data)
    assert line.startswith("refused a connection from 127.0.0.1:")
    assert line.endswith(reason)
    assert worker.row.words[scoreboard.ACCEPTED] == 0


def test_who_is_not_trusted_may_not_send_a_header(serve):
    worker = serve(reports.wsgi, listen={"trusted": ("10.0.0.0/8", "unix"), "proxy_protocol": True})
    assert refused(worker, LINE + REQUEST).endswith("it is not in listen:http.trusted")


def test_where_none_is_expected_a_header_is_no_request(serve):
    worker = serve(reports.wsgi, listen=TRUSTED)
    for header in (LINE, v2()):
        assert worker.request(header + REQUEST).status == 400


@pytest.mark.parametrize("sent", [b"", LINE[:20], v2()[:-1]])
def test_a_header_has_its_time(serve, sent):
    worker = serve(reports.wsgi, listen=BEHIND, head_timeout=0.1)
    assert refused(worker, sent).endswith("no PROXY header came in time")


@pytest.mark.parametrize("sent", [b"", LINE[:20]])
def test_who_leaves_before_the_header_is_complete_is_no_news(serve, sent):
    worker = serve(reports.wsgi, listen=BEHIND)
    client = worker.connect()
    client.send(sent)
    worker.settle()
    client.close()
    worker.wait_for(lambda: not worker.server._connections)
    assert texts(worker, "sdserve.http") == []


def test_a_drain_does_not_wait_for_headers(serve, monkeypatch):
    monkeypatch.setattr(proxies, "_LAST_CHANCE", 0.1)
    worker = serve(reports.wsgi, listen=BEHIND, drain_timeout=60.0)
    waiting = worker.connect()
    worker.wait_for(lambda: worker.server._adoptions)
    worker.drain()
    worker.wait_until_drained()
    assert waiting.rest_of_cut() == b""


def test_a_header_that_comes_during_a_drain_is_in_time(serve):
    worker = serve(reports.wsgi, listen=BEHIND)
    client = worker.connect()
    worker.wait_for(lambda: worker.server._adoptions)
    worker.drain()
    client.send(LINE)
    assert ask(client)["client"] == ["192.0.2.1", 4711]


@pytest.mark.parametrize("header", [LINE, v2(more=TLS), b"PROXY UNKNOWN\r\n"])
def test_what_the_header_said_moves_along(pair, header):
    old, _, heir = pair({"application": reports.wsgi}, {"application": reports.wsgi}, listen=BEHIND)
    client = old.connect()
    client.send(header)
    before = ask(client)
    old.drain(heir())
    old.wait_until_drained()
    assert ask(client) == before
    assert before["client"][0] == ("127.0.0.1" if b"UNKNOWN" in header else "192.0.2.1")
    assert before["scheme"] == ("https" if TLS in header else "http")
