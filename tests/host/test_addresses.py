from __future__ import annotations

import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.host.addresses import TcpAddress, UnixAddress, describe, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("[::]:80", TcpAddress("::", 80)),
        ("[fe80::1%lo]:1", TcpAddress("fe80::1%lo", 1)),
        ("shop.example:0", TcpAddress("shop.example", 0)),
        ("unix:/run/shop.sock", UnixAddress("/run/shop.sock")),
        ("unix:/with:colon", UnixAddress("/with:colon")),
    ],
)
def test_an_address_is_read_and_written_alike(text, address):
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "none of HOST:PORT"),
        ("8000", "none of HOST:PORT"),
        (":8000", "none of HOST:PORT"),
        ("host:", "'' is no port"),
        ("host:http", "'http' is no port"),
        ("host:65536", "'65536' is no port"),
        ("host:-1", "'-1' is no port"),
        ("host:\N{SUPERSCRIPT TWO}", "is no port"),
        ("::1:80", r"stands in brackets: \[::1\]:80"),
        ("[nonsense]:80", "no IPv6 address"),
        ("[127.0.0.1]:80", "no IPv6 address"),
        ("unix:relative", "is absolute"),
        ("unix:", "is absolute"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("unix:/" + "\N{EURO SIGN}" * 36, "at most 107 bytes"),
    ],
)
def test_what_is_no_address_is_explained(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text):
    with suppress(ValueError):
        assert parse(str(parse(text))) == parse(text)


def test_the_longest_path_can_be_bound_and_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("x" * 107)
        assert describe(listener.getsockname(), listener.family) == "unix:" + "x" * 107


def test_sockets_are_described_as_an_operator_writes_them():
    assert describe(("127.0.0.1", 80), socket.AF_INET) == "127.0.0.1:80"
    assert describe(("::1", 80, 0, 0), socket.AF_INET6) == "[::1]:80"
    assert describe(b"\0name", socket.AF_UNIX) == "unix:@name"
