"""nginx, configured as its users do."""

from __future__ import annotations

import os

from tests.proxies.proxy import nginx, upstream
from tests.serving import descendants

SITE = """
    upstream app {{ server {server}; keepalive 8; }}
    server {{
        listen LISTEN;
        location / {{
            proxy_pass http://app{path};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            {lines}
        }}
        {more}
    }}
"""
FIELDS = """
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""


def site(server, lines=FIELDS, *, path="", more=""):
    return SITE.format(server=upstream(server), lines=lines, path=path, more=more)


def test_the_client_is_whom_nginx_names(behind, transport, tmp_path):
    server = behind()
    with nginx(tmp_path, http=site(server)) as proxy:
        report = proxy.request("/a%20b", Host="shop.example").json
        assert report["client"] == ["127.0.0.1", 0]
        assert (report["host"], report["path"], report["scheme"]) == ("shop.example", "/a b", "http")
        if transport == "unix":
            assert report["uid"] == os.geteuid()
            assert report["pid"] in descendants(proxy.process.pid)


def test_what_a_client_forges_is_not_believed(serve, tmp_path):
    """The proxy is trusted, the client, on another address of the loopback, is not."""
    server = serve(unix=True, trusted="unix")
    with nginx(tmp_path, http=site(server)) as proxy:
        forged = {
            "X_Forwarded_For": "192.0.2.66, unix, 10.0.0.1",
            "X_Forwarded_Proto": "https",
            "X_Forwarded_Host": "evil.example",
            "X_Forwarded_Prefix": "/evil",
            "Forwarded": 'for="_x;host=evil.example',
        }
        report = proxy.request("/a", **forged).json
        assert report["client"] == ["127.0.0.1", 0]
        assert (report["scheme"], report["path"], report["root_path"]) == ("http", "/a", "")
        assert "evil" not in report["host"]


def test_a_proxy_before_the_proxy(behind, tmp_path):
    """Both are trusted: the one before says who the client is, and how it came."""
    server = behind()
    lines = """
        proxy_set_header X-Forwarded-For "$http_x_forwarded_for, 127.0.0.1";
        proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;
    """
    trusted = {"X_Forwarded_For": "192.0.2.66, 192.0.2.1", "X_Forwarded_Proto": "https"}
    with nginx(tmp_path, http=site(server, lines)) as proxy:
        report = proxy.request("/", **trusted).json
        expected = "192.0.2.1" if server.address[0] == "127.0.0.1" else "127.0.0.1"
        assert report["client"] == [expected, 0]
        assert report["scheme"] == "https"


def test_who_is_not_trusted_is_told_in_the_log(serve, transport, tmp_path):
    server = serve(unix=transport == "unix")
    with nginx(tmp_path, http=site(server)) as proxy:
        report = proxy.request("/").json
        assert report["client"][0] == ("" if transport == "unix" else "127.0.0.1")
        proxy.request("/")
    assert server.stderr().count("is not in listen:http.trusted") == 1


def test_a_part_of_the_path_that_nginx_cuts_off(behind, tmp_path):
    server = behind(trusted_fields="x-forwarded-for, x-forwarded-prefix")
    lines = "proxy_set_header X-Forwarded-Prefix /shop;"
    more = """
        location /shop/ {
            proxy_pass http://app/;
            proxy_set_header X-Forwarded-Prefix /shop;
        }
    """
    with nginx(tmp_path, http=site(server, lines, more=more)) as proxy:
        report = proxy.request("/shop/a").json
        assert (report["root_path"], report["path"]) == ("/shop", "/shop/a")
        # Twice is once cut off and once the application's own.
        assert proxy.request("/shop/shop/a").json["path"] == "/shop/shop/a"


def test_a_part_of_the_path_that_nginx_leaves(behind, tmp_path):
    server = behind(root_path="/shop")
    with nginx(tmp_path, http=site(server)) as proxy:
        report = proxy.request("/shop/a").json
        assert (report["root_path"], report["path"]) == ("/shop", "/shop/a")
        assert proxy.request("/a").status == 404


def test_its_proxy_protocol(behind, transport, tmp_path):
    """nginx relays bytes, and says who has connected to it: version 1."""
    server = behind(proxy_protocol="yes")
    relay = f"server {{ listen LISTEN; proxy_pass {upstream(server)}; proxy_protocol on; }}"
    with nginx(tmp_path, stream=relay) as proxy, proxy.connection() as client:
        own = client.sock.getsockname()
        for _ in range(2):
            report = client.exchange("GET", "/", None, {"X-Forwarded-Proto": "https"}).json
            assert tuple(report["client"]) == own
            assert report["server"] == ["127.0.0.1", str(proxy.address[1])]


def test_one_connection_to_the_server_serves_many_clients(behind, tmp_path):
    server = behind()
    with nginx(tmp_path, http=site(server)) as proxy:
        for number in range(20):
            report = proxy.request("/", X_Forwarded_For=f"192.0.2.{number}").json
            assert report["client"] == [
                f"192.0.2.{number}" if server.address[0] == "127.0.0.1" else "127.0.0.1",
                0,
            ]
