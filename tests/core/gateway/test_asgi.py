"""The connection scope of an HTTP request."""

from __future__ import annotations

import pytest

from sdserve.core.gateway.asgi import http_scope
from sdserve.core.http.request import Request


def scope(target=b"/", *, method="GET", minor=1, client=("192.0.2.1", 5000), server=("::1", 80), state=None):
    return http_scope(Request(method, target, minor, [(b"host", b"x")]), client, server, state)


def test_everything_that_the_specification_asks_for():
    assert scope(b"/a/b?c=d&e") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b",
        "raw_path": b"/a/b",
        "query_string": b"c=d&e",
        "root_path": "",
        "headers": [(b"host", b"x")],
        "client": ("192.0.2.1", 5000),
        "server": ("::1", 80),
    }


def test_http_1_0():
    assert scope(minor=0)["http_version"] == "1.0"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/caf%C3%A9", "/café"),
        (b"/a%2Fb", "/a/b"),
        (b"/%zz", "/%zz"),
        (b"/%ff", "/\ufffd"),  # not UTF-8; raw_path has what was sent
    ],
)
def test_the_path_is_decoded(target, path):
    assert scope(target)["path"] == path
    assert scope(target)["raw_path"] == target


def test_a_client_on_a_unix_socket_has_no_address():
    assert scope(client=None, server=("/run/shop.sock", None))["client"] is None


def test_without_a_lifespan_there_is_no_state():
    assert "state" not in scope()


def test_the_state_is_copied_but_its_values_are_shared():
    state = {"pool": []}
    given = scope(state=state)["state"]
    given["own"] = 1
    assert state == {"pool": []}
    assert given["pool"] is state["pool"]
