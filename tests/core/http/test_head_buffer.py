"""Where a head ends, and when it is refused before it does."""

from __future__ import annotations

import pytest

from sdserve.core.http.head_buffer import HeadBuffer
from sdserve.core.http.options import HttpOptions
from sdserve.errors import RemoteProtocolError


def fed(*pieces, **options):
    buffer = HeadBuffer(HttpOptions(**options))
    for piece in pieces:
        buffer.receive_data(piece)
    return buffer


def test_a_head_is_taken_out_without_its_empty_line():
    buffer = fed(b"a\r\nb: c\r\n\r\nbody")
    assert buffer.maybe_head() == b"a\r\nb: c"
    assert buffer.data == b"body"


def test_there_is_no_head_before_its_end():
    buffer = fed()
    for byte in b"\r\na\r\nb: c\r\n\r":
        assert buffer.maybe_head() is None
        buffer.receive_data(bytes([byte]))
    assert buffer.maybe_head() is None
    buffer.receive_data(b"\n")
    assert buffer.maybe_head() == b"a\r\nb: c"
    assert buffer.maybe_head() is None


def test_bytes_for_a_body_are_taken_up_to_a_number():
    buffer = fed(b"abc", b"def")
    assert buffer.take(4) == b"abcd"
    assert buffer.take(4) == b"ef"
    assert buffer.take(4) == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\rX", 400),
        (b"GET /\0", 400),
        (b"\n", 400),
        (b"\rG", 400),
        (b"GET /aaaaaaaaaaaaaaaa\r\n", 414),
        (b"GET /aaaaaaaaaaaaaaaaaa", 414),
        (b"GET /\r\n" + b"a: b\r\n" * 10, 431),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_a_head_that_cannot_become_good_is_refused_before_its_end(data, status, size):
    buffer = HeadBuffer(HttpOptions(max_request_line=20, max_head=40))

    def feed():
        for start in range(0, len(data), size):
            buffer.receive_data(data[start : start + size])
            assert buffer.maybe_head() is None

    with pytest.raises(RemoteProtocolError) as caught:
        feed()
    assert caught.value.status == status


@pytest.mark.parametrize(
    "data", [b"a" * 20 + b"\r", b"a" * 20 + b"\r\n", b"\r", b"\r\n\r", b"a\r\n" + b"b" * 37 + b"\r\n\r"]
)
def test_a_head_that_may_still_become_good_is_waited_for(data):
    assert fed(data, max_request_line=20, max_head=40).maybe_head() is None
