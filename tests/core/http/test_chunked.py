"""The chunked coding alone; its grammar is in the corpus."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdserve.core.http.chunked import ChunkedDecoder
from sdserve.core.http.options import HttpOptions
from sdserve.errors import RemoteProtocolError


def test_payload_is_given_back_at_once():
    decoder = ChunkedDecoder(HttpOptions())
    assert decoder.decode(b"5\r\nhel") == (b"hel", b"")
    assert decoder.decode(b"lo\r\n3") == (b"lo", b"3")
    assert decoder.decode(b"3\r\nabc\r\n1\r\nd") == (b"abcd", b"")
    assert not decoder.ended


def test_what_is_behind_the_end_is_not_touched():
    decoder = ChunkedDecoder(HttpOptions())
    assert decoder.decode(b"0\r\n\r\nGET / HTTP/1.1") == (b"", b"GET / HTTP/1.1")
    assert decoder.ended
    assert decoder.decode(b"more") == (b"", b"more")


def test_trailers_are_dropped():
    decoder = ChunkedDecoder(HttpOptions())
    assert decoder.decode(b"1\r\nx\r\n0\r\na: b\r\nc: d\r\n\r\n") == (b"x", b"")
    assert decoder.ended


def test_a_large_chunk_is_not_kept():
    decoder = ChunkedDecoder(HttpOptions())
    decoder.decode(b"fffffff\r\n")
    for _ in range(10):
        assert decoder.decode(bytes(65536)) == (bytes(65536), b"")


def test_the_size_of_a_body_is_limited_over_all_its_chunks():
    decoder = ChunkedDecoder(HttpOptions(max_body=3))
    assert decoder.decode(b"2\r\nab\r\n") == (b"ab", b"")
    with pytest.raises(RemoteProtocolError, match=r"http\.max_body") as caught:
        decoder.decode(b"2\r\n")
    assert caught.value.status == 413


extensions = st.sampled_from([b"", b";a", b" ; a=b", b';a="b;\\"";c', b";" + b"x" * 100])
chunks = st.lists(st.tuples(st.binary(min_size=1, max_size=40), extensions), max_size=8)
trailers = st.lists(st.sampled_from([b"X: y\r\n", b"Content-Length: 5\r\n", b"Host:\r\n"]), max_size=3)


@settings(deadline=None)
@given(chunks=chunks, trailers=trailers, behind=st.binary(max_size=20), cuts=st.lists(st.integers(1, 30)))
def test_whatever_the_chunks_and_the_cuts_the_payload_is_the_same(chunks, trailers, behind, cuts):
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(data), extension, data) for data, extension in chunks)
    rest = framed + b"0\r\n" + b"".join(trailers) + b"\r\n" + behind
    decoder = ChunkedDecoder(HttpOptions())
    payload = unused = b""
    for cut in [*cuts, len(rest)]:
        piece, rest = rest[:cut], rest[cut:]
        decoded, unused = decoder.decode(unused + piece)
        payload += decoded
    assert decoder.ended
    assert payload == b"".join(data for data, _ in chunks)
    assert unused == behind
