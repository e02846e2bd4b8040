"""Reloads behind a proxy that keeps its connections: no request fails, no 502."""

from __future__ import annotations

import pytest

from sdserve.config.target import AD_HOC_NAME
from sdserve.host.control_client import call
from tests import serving
from tests.load.plan import Plan
from tests.load.process import Load
from tests.proxies.proxy import haproxy, nginx, upstream

pytestmark = [pytest.mark.slow, pytest.mark.alone]

RELOADS = 4
BETWEEN = 120
"""Requests."""

NGINX = """
    upstream app {{ server {server}; keepalive 16; }}
    server {{
        listen LISTEN;
        keepalive_requests 1000000;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
"""
HAPROXY = """
listen site
    mode http
    bind LISTEN
    retries 0
    http-reuse always
    server app {server} {options}
"""


@pytest.fixture
def run(interface, transport, tmp_path, monkeypatch):
    """Run the application that the load asks, on two workers."""

    def run(**options):
        settings = {f"listen:http.{name}": value for name, value in options.items()}
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
        return serving.serve(
            f"tests.load.apps.mix_{interface}:application",
            workers=2,
            threads=4 if interface == "wsgi" else 1,
            settings=settings,
            unix=transport == "unix",
            environment={"RUNTIME_DIRECTORY": str(tmp_path)},
        )

    return run


def check_that_nobody_notices(proxy):
    """Reload the server behind the proxy, again and again, under load; proxies do not try a second time."""
    plan = Plan(rate=300.0, patience=10.0)
    with Load(proxy.address, plan) as load:
        load.wait_for_requests(BETWEEN)
        load.mark("reloads")
        for _ in range(RELOADS):
            call(AD_HOC_NAME, "Reload", timeout=30.0)
            load.wait_for_requests(BETWEEN)
        report = load.stop()
    assert report.failed == 0, report.faults()
    assert len({server.pid for server in report.served}) > RELOADS, "workers of all generations have served"


def test_nginx_with_connections_that_are_kept(run, tmp_path):
    with run() as server, nginx(tmp_path, http=NGINX.format(server=upstream(server))) as proxy:
        check_that_nobody_notices(proxy)


def test_haproxy_that_shares_connections(run, transport, tmp_path):
    """Over TCP with any connection for any client; over a unix socket each with a PROXY header of its own."""
    plain = transport == "tcp"
    behind = {} if plain else {"proxy_protocol": "yes", "trusted": "unix"}
    with run(**behind) as server:
        options = "" if plain else "send-proxy-v2"
        text = HAPROXY.format(server=upstream(server, prefix="unix@"), options=options)
        with haproxy(tmp_path, text) as proxy:
            check_that_nobody_notices(proxy)
