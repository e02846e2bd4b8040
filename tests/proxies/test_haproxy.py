"""HAProxy, configured as its users do."""

from __future__ import annotations

import pytest

from tests.proxies.proxy import haproxy, upstream

SITE = """
listen site
    mode {mode}
    bind LISTEN
    {lines}
    server app {server} {options}
"""
FORWARD = "option forwardfor\n    http-request set-header X-Forwarded-Proto http"
MARKED = 'http-request set-header Forwarded "for=\\"%[src]:%[src_port]\\";proto=https;host=shop.example"'


def site(server, lines="", options="", *, mode="http"):
    return SITE.format(mode=mode, server=upstream(server, prefix="unix@"), lines=lines, options=options)


def test_the_client_is_whom_haproxy_names(behind, tmp_path):
    server = behind()
    with haproxy(tmp_path, site(server, FORWARD)) as proxy:
        report = proxy.request("/a%20b", Host="shop.example").json
        assert report["client"] == ["127.0.0.1", 0]
        assert (report["host"], report["path"], report["scheme"]) == ("shop.example", "/a b", "http")


def test_what_a_client_forges_is_not_believed(serve, tmp_path):
    """It adds a line of its own behind those of the client."""
    server = serve(unix=True, trusted="unix")
    with haproxy(tmp_path, site(server, FORWARD)) as proxy:
        forged = {
            "X_Forwarded_For": "192.0.2.66",
            "X_Forwarded_Proto": "https",
            "X_Forwarded_Host": "evil.example",
            "Forwarded": "for=192.0.2.66",
        }
        report = proxy.request("/", **forged).json
        assert (report["client"], report["scheme"]) == (["127.0.0.1", 0], "http")
        assert "evil" not in report["host"]


def test_forwarded(behind, tmp_path):
    server = behind(trusted_fields="forwarded")
    with haproxy(tmp_path, site(server, MARKED)) as proxy:
        with proxy.connection() as client:
            own = client.sock.getsockname()
            report = client.exchange(
                "GET", "/", None, {"Forwarded": 'for="_x', "X-Forwarded-For": "192.0.2.66"}
            ).json
        assert tuple(report["client"]) == own
        assert (report["scheme"], report["host"]) == ("https", "shop.example")


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("tcp", "send-proxy"),
        ("tcp", "send-proxy-v2"),
        ("http", "send-proxy-v2 proxy-v2-options crc32c,unique-id"),
        ("tcp", "send-proxy-v2-ssl-cn proxy-v2-options crc32c"),
    ],
)
def test_its_proxy_protocol(behind, transport, tmp_path, options, mode):
    server = behind(proxy_protocol="yes")
    lines = "unique-id-format %Ts" if "unique-id" in options else ""
    # Over TCP the client has the address of the proxy, and is trusted for that.
    forged = {"X-Forwarded-For": "192.0.2.66"} if transport == "unix" else {}
    configuration = site(server, lines, options, mode=mode)
    with haproxy(tmp_path, configuration) as proxy, proxy.connection() as client:
        own = client.sock.getsockname()
        for _ in range(2):
            report = client.exchange("GET", "/", None, forged).json
            assert tuple(report["client"]) == own
            assert report["server"] == ["127.0.0.1", str(proxy.address[1])]
            assert report["scheme"] == "http"


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_an_ipv6_client(behind, tmp_path, options):
    server = behind(proxy_protocol="yes")
    configuration = site(server, options=options, mode="tcp")
    with haproxy(tmp_path, configuration, host="::1") as proxy, proxy.connection() as client:
        own = client.sock.getsockname()
        assert client.exchange("GET", "/").json["client"] == list(own[:2])


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_its_checks_are_its_own(behind, tmp_path, options):
    """In a check it speaks for itself; were it refused the server would be down and the answer a 503."""
    server = behind(proxy_protocol="yes")
    lines = "option httpchk GET /check\n    http-check expect status 200"
    options += " check inter 100ms"
    with haproxy(tmp_path, site(server, lines, options)) as proxy:
        for _ in range(20):
            assert proxy.request("/").status == 200


def test_without_its_header_nobody_is_served(behind, tmp_path):
    server = behind(proxy_protocol="yes")
    with haproxy(tmp_path, site(server, "retries 0")) as proxy:
        assert proxy.request("/").status in (502, 503)
    assert "no PROXY header" in server.stderr()
