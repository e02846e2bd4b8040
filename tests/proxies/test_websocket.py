"""WebSockets through nginx, HAProxy, and TLS: messages, the facts of the client, and a reload."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests import serving
from tests.certificates import Authority
from tests.proxies.proxy import haproxy, nginx, upstream
from tests.serving import TIMEOUT

NGINX = """
    server {{
        listen LISTEN;
        location / {{
            proxy_pass http://{server};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For 192.0.2.7;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
"""
HAPROXY = """
listen site
    mode http
    timeout tunnel 60s
    bind LISTEN
    http-request set-header X-Forwarded-For 192.0.2.7
    http-request set-header X-Forwarded-Proto https
    server app {server}
"""
SERVER = "tests.proxies.reports:websocket"


@contextmanager
def behind_nginx(directory, server):
    with nginx(directory, http=NGINX.format(server=upstream(server))) as proxy:
        yield proxy


@contextmanager
def behind_haproxy(directory, server):
    with haproxy(directory, HAPROXY.format(server=upstream(server, prefix="unix@"))) as proxy:
        yield proxy


def open_socket(address, **options):
    host, port = address
    scheme = "wss" if "ssl" in options else "ws"
    return connect(f"{scheme}://{host}:{port}/", open_timeout=TIMEOUT, close_timeout=TIMEOUT, **options)


@pytest.mark.parametrize("behind", [behind_nginx, behind_haproxy])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_messages_and_facts_come_through_and_a_reload_says_good_bye(behind, unix, tmp_path):
    settings = {
        "listen:http.trusted": "unix" if unix else "127.0.0.1",
        "workers.websocket_drain": "0",
    }
    with serving.serve(SERVER, settings=settings, unix=unix) as server, behind(tmp_path, server) as proxy:
        with open_socket(proxy.address) as client:
            assert json.loads(client.recv(TIMEOUT)) == {"client": ["192.0.2.7", 0], "scheme": "wss"}
            for message in ("hello", b"x" * 200_000):
                client.send(message)
                assert client.recv(TIMEOUT) == message
            server.process.send_signal(signal.SIGHUP)
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(TIMEOUT)
            assert caught.value.rcvd.code == 1012
        with open_socket(proxy.address) as client:
            assert client.recv(TIMEOUT)


def test_over_tls(tmp_path):
    authority = Authority(tmp_path)
    pair = authority.issue("localhost")
    settings = {"listen:http.certificate": pair.certificate, "listen:http.key": pair.key}
    with (
        serving.serve(SERVER, settings=settings) as server,
        open_socket(server.address, ssl=authority.client_context(), server_hostname="localhost") as client,
    ):
        assert json.loads(client.recv(TIMEOUT))["scheme"] == "wss"
        for message in ("hello", b"x" * 200_000):
            client.send(message)
            assert client.recv(TIMEOUT) == message
