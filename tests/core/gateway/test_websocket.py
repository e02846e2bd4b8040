"""The `websocket` scope."""

from __future__ import annotations

import pytest

from sdserve.core.gateway.asgi import http_scope, mistake_in
from sdserve.core.gateway.websocket import websocket_scope
from sdserve.core.http.request import Request


def scope(**changes):
    request = Request("GET", b"/caf%C3%A9?q=1", 1, [(b"host", b"a")])
    return websocket_scope(
        http_scope(request, ("192.0.2.1", 1234), ("192.0.2.2", 80), "http", {"opened": 1}) | changes, ["chat"]
    )


def test_a_handshake_is_what_a_request_is():
    assert scope() == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/café",
        "raw_path": b"/caf%C3%A9",
        "query_string": b"q=1",
        "root_path": "",
        "headers": [(b"host", b"a")],
        "client": ("192.0.2.1", 1234),
        "server": ("192.0.2.2", 80),
        "subprotocols": ["chat"],
        "extensions": {"websocket.http.response": {}},
        "state": {"opened": 1},
    }


def test_over_tls_it_is_wss_and_what_is_said_of_that_stays():
    made = scope(scheme="https", extensions={"tls": {"a": 1}, "http.response.pathsend": {}})
    assert made["scheme"] == "wss"
    assert made["extensions"] == {"tls": {"a": 1}, "websocket.http.response": {}}


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ({"type": "websocket.accept"}, ""),
        ({"type": "websocket.accept", "subprotocol": None, "headers": [(b"a", b"b")]}, ""),
        (
            {"type": "websocket.accept", "subprotocol": b"a"},
            "websocket.accept with a subprotocol that is no str but bytes",
        ),
        (
            {"type": "websocket.accept", "headers": {"a": "b"}},
            "websocket.accept with headers that are no list of pairs but dict",
        ),
        ({"type": "websocket.close", "code": 1000, "reason": None}, ""),
        ({"type": "websocket.close", "code": "1000"}, "websocket.close with a code that is no int but str"),
        (
            {"type": "websocket.close", "reason": b"x"},
            "websocket.close with a reason that is no str but bytes",
        ),
        ({"type": "websocket.http.response.start"}, "websocket.http.response.start with no status"),
    ],
)
def test_mistakes_are_explained(message, wrong):
    assert mistake_in(message) == wrong
