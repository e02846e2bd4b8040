"""The opening handshake: RFC 6455 section 4.2, and what the application may add to it."""

from __future__ import annotations

import pytest

from sdserve.core.http.options import HttpOptions
from sdserve.core.http.response import make_standing
from sdserve.core.websocket.handshake import accept_head, read_opening, refusal_fields, wants_websocket
from sdserve.errors import LocalProtocolError, RemoteProtocolError
from tests.core.http.feeding import read

STANDING = make_standing("Thu, 01 Jan 1970 00:00:00 GMT", "test")
FIELDS = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
"""RFC 6455 section 1.3."""


def request(line="GET /chat HTTP/1.1", *more, **changes):
    """The handshake of the RFC, with some fields other than there; None leaves one out."""
    fields = FIELDS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [
        line,
        *(f"{name}: {value}" for name, value in fields.items() if value is not None),
        *more,
        "",
        "",
    ]
    reading = read(HttpOptions(), ["\r\n".join(lines).encode("latin-1")])
    assert reading.error is None
    return reading.messages[0].request


def opening(*more, **changes):
    return read_opening(request("GET /chat HTTP/1.1", *more, **changes), compression=True)


def status(made):
    with pytest.raises(RemoteProtocolError) as caught:
        read_opening(made, compression=True)
    return caught.value.status


def head(opened, subprotocol=None, fields=()):
    lines = accept_head(opened, subprotocol, fields, STANDING).decode("latin-1").split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert lines[-2:] == ["", ""]
    return dict(line.split(": ", 1) for line in lines[1:-2])


def test_the_handshake_of_the_rfc():
    assert wants_websocket(request())
    assert head(opening()) == {
        "upgrade": "websocket",
        "connection": "upgrade",
        "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "server": "test",
    }


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket", " WEBSOCKET ,foo/1"])
@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, upgrade"])
def test_names_are_compared_without_case_in_lists(upgrade, connection):
    assert wants_websocket(request(Upgrade=upgrade, Connection=connection))


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "websockets"},
        {"Upgrade": "h2c"},
        {"Connection": None},
        {"Connection": "close"},
    ],
)
def test_other_requests_want_no_websocket(changes):
    assert not wants_websocket(request(**changes))


def test_http_1_0_has_no_upgrade():
    assert not wants_websocket(request("GET /chat HTTP/1.0"))


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "get"])
def test_a_handshake_is_a_get(method):
    assert status(request(f"{method} /chat HTTP/1.1")) == 400


def test_a_handshake_has_no_body():
    assert status(request("GET /chat HTTP/1.1", "Content-Length: 5")) == 400
    assert status(request("GET /chat HTTP/1.1", "Transfer-Encoding: chunked")) == 400


@pytest.mark.parametrize("version", [None, "", "8", "12", "14", "013", "13, 8", "thirteen"])
def test_another_version_is_told_ours(version):
    made = request(Sec_WebSocket_Version=version)
    assert status(made) == 426
    assert refusal_fields(426) == [
        (b"sec-websocket-version", b"13"),
        (b"upgrade", b"websocket"),
        (b"connection", b"upgrade"),
    ]
    assert refusal_fields(400) == []


@pytest.mark.parametrize(
    "key",
    [None, "", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZWVl",
     "dGhlIHNhbXBsZSBub25j*Q==", "dGhlIHNhbXBsZSBub25jZQ==, x"],
)  # fmt: skip
def test_a_key_is_sixteen_bytes(key):
    assert status(request(Sec_WebSocket_Key=key)) == 400


def test_there_is_one_key_and_one_version():
    assert status(request("GET /chat HTTP/1.1", f"Sec-WebSocket-Key: {FIELDS['Sec-WebSocket-Key']}")) == 400
    assert status(request("GET /chat HTTP/1.1", "Sec-WebSocket-Version: 13")) == 426


# Subprotocols


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([], []),
        (["chat"], ["chat"]),
        (["chat, superchat"], ["chat", "superchat"]),
        (["chat,", ", superchat ,v2.json"], ["chat", "superchat", "v2.json"]),
    ],
)
def test_subprotocols_are_offered_in_order(lines, names):
    assert opening(*(f"Sec-WebSocket-Protocol: {line}" for line in lines)).subprotocols == names


@pytest.mark.parametrize("value", ["chat, chat", "two words", "caf\xe9", "a/b", '"quoted"'])
def test_subprotocols_are_different_tokens(value):
    assert status(request("GET /chat HTTP/1.1", f"Sec-WebSocket-Protocol: {value}")) == 400


def test_the_application_chooses_a_subprotocol_that_was_offered():
    opened = opening("Sec-WebSocket-Protocol: chat, superchat")
    assert head(opened, "superchat")["sec-websocket-protocol"] == "superchat"
    assert "sec-websocket-protocol" not in head(opened)
    with pytest.raises(LocalProtocolError, match="does not offer: 'other'"):
        head(opened, "other")
    with pytest.raises(LocalProtocolError, match="does not offer"):
        head(opened, "")


# Headers of the application's


def test_the_application_may_add_fields():
    fields = head(opening(), None, [(b"set-cookie", b"a=b"), (b"X-Own", b"1"), (b"server", b"mine")])
    assert fields["set-cookie"] == "a=b"
    assert fields["X-Own"] == "1"
    assert fields["server"] == "mine"


@pytest.mark.parametrize(
    "field",
    [
        (b"Sec-WebSocket-Accept", b"x"),
        (b"sec-websocket-protocol", b"chat"),
        (b"sec-websocket-extensions", b"x"),
        (b"upgrade", b"h2c"),
        (b"content-length", b"0"),
        (b"bad name", b"x"),
        (b"x", b"a\r\nb: c"),
    ],
)
def test_the_application_may_not_send_what_is_ours_or_breaks_the_head(field):
    with pytest.raises(LocalProtocolError):
        head(opening(), None, [field])


def test_fields_of_the_connection_are_dropped():
    assert head(opening(), None, [(b"connection", b"close"), (b"transfer-encoding", b"chunked")])[
        "connection"
    ] == ("upgrade")


# Extensions


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            'x-webkit, PerMessage-Deflate ;server_max_window_bits="10" ; client_no_context_takeover',
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; unknown, permessage-deflate",
            "permessage-deflate; server_max_window_bits=12",
        ),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-bzip2", None),
        (", ,", None),
    ],
)
def test_the_first_offer_that_can_be_kept_is_agreed_to(value, answer):
    opened = opening(f"Sec-WebSocket-Extensions: {value}")
    assert head(opened).get("sec-websocket-extensions") == answer


def test_offers_may_stand_on_several_lines():
    opened = opening("Sec-WebSocket-Extensions: other; a=b", "Sec-WebSocket-Extensions: permessage-deflate")
    assert opened.terms is not None


def test_without_compression_no_offer_is_agreed_to():
    made = request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: permessage-deflate")
    assert read_opening(made, compression=False).terms is None


@pytest.mark.parametrize(
    "value",
    [
        "permessage deflate",
        "; a",
        "a; ",
        "a; b=",
        "a; b=c d",
        'a; b="two words"',
        "a; =b",
        "caf\xe9",
        ", ".join("abcdefghijklmnopqr"),
    ],
)
def test_extensions_are_a_list_of_names_with_parameters(value):
    assert status(request("GET /chat HTTP/1.1", f"Sec-WebSocket-Extensions: {value}")) == 400
