"""permessage-deflate: which offers are agreed to (RFC 7692 section 7.1), and what the compressors do."""

from __future__ import annotations

import zlib

import pytest

from sdserve.core.websocket.deflate import Deflater, DeflateTerms, Inflater, acceptable
from sdserve.errors import RemoteProtocolError

TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")
"""RFC 7692 section 7.2.3.1."""


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ({}, b"; server_max_window_bits=12"),
        ({b"server_no_context_takeover": None}, b"; server_no_context_takeover; server_max_window_bits=12"),
        ({b"client_no_context_takeover": None}, b"; client_no_context_takeover; server_max_window_bits=12"),
        ({b"server_max_window_bits": b"9"}, b"; server_max_window_bits=9"),
        ({b"server_max_window_bits": b"15"}, b"; server_max_window_bits=12"),
        ({b"client_max_window_bits": None}, b"; server_max_window_bits=12; client_max_window_bits=12"),
        ({b"client_max_window_bits": b"15"}, b"; server_max_window_bits=12; client_max_window_bits=12"),
        ({b"client_max_window_bits": b"8"}, b"; server_max_window_bits=12; client_max_window_bits=8"),
    ],
)
def test_an_offer_is_agreed_to(offer, answer):
    assert acceptable(offer)
    assert DeflateTerms(offer).answer == b"permessage-deflate" + answer


@pytest.mark.parametrize(
    "offer",
    [
        {b"unknown": None},
        {b"server_no_context_takeover": b"1"},
        {b"client_no_context_takeover": b""},
        {b"server_max_window_bits": None},
        {b"server_max_window_bits": b"7"},
        {b"server_max_window_bits": b"16"},
        {b"server_max_window_bits": b"010"},
        {b"server_max_window_bits": b"8"},  # zlib cannot
        {b"client_max_window_bits": b"7"},
        {b"client_max_window_bits": b"16"},
        {b"client_max_window_bits": b"09"},
        {b"client_max_window_bits": b"ten"},
    ],
)
def test_an_offer_that_cannot_be_kept_is_declined(offer):
    assert not acceptable(offer)


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("forgets", [False, True])
def test_a_client_with_the_agreed_window_understands_us(bits, forgets):
    offer = {b"server_max_window_bits": b"%d" % bits}
    if forgets:
        offer[b"server_no_context_takeover"] = None
    deflater = Deflater(DeflateTerms(offer))
    data = bytes(index * index % 253 for index in range(20_000))
    inflater = zlib.decompressobj(-min(bits, 12))
    sizes = []
    for _ in range(3):
        if forgets:
            inflater = zlib.decompressobj(-min(bits, 12))
        payload = deflater.compress(data[:3000])
        sizes.append(len(payload))
        assert inflater.decompress(payload + TAIL) == data[:3000]
    assert (sizes[0] > 2 * sizes[1]) == (bits > 9 and not forgets)  # what was sent before helps, if it may


def test_the_examples_of_the_rfc():
    inflater = Inflater(DeflateTerms({}))
    assert inflater.inflate(HELLO, 5, True) == b"Hello"
    assert inflater.inflate(bytes.fromhex("f200110000"), 5, True) == b"Hello"  # 7.2.3.2, from the window
    assert inflater.inflate(bytes.fromhex("000500faff48656c6c6f00"), 5, True) == b"Hello"  # 7.2.3.3, stored
    assert inflater.inflate(bytes.fromhex("f348cdc9c9070000"), 5, True) == b"Hello"  # 7.2.3.4, BFINAL
    assert (
        inflater.inflate(bytes.fromhex("f248050000 00ffffcac9c90700"), 5, True) == b"Hello"
    )  # 7.2.3.5, two blocks


def test_a_window_that_the_client_gave_up_is_not_there():
    inflater = Inflater(DeflateTerms({b"client_no_context_takeover": None}))
    assert inflater.inflate(HELLO, 5, True) == b"Hello"
    with pytest.raises(RemoteProtocolError) as caught:
        inflater.inflate(bytes.fromhex("f200110000"), 5, True)
    assert caught.value.status == 1007


def test_fragments_are_inflated_one_by_one():
    inflater = Inflater(DeflateTerms({}))
    assert inflater.inflate(HELLO[:3], 5, False) + inflater.inflate(HELLO[3:], 5, True) == b"Hello"


@pytest.mark.parametrize("final", [True, False])
def test_one_byte_too_many_is_too_many(final):
    with pytest.raises(RemoteProtocolError) as caught:
        Inflater(DeflateTerms({})).inflate(HELLO, 4, final)
    assert caught.value.status == 1009


@pytest.mark.parametrize("before", [[], [b"\x03\x00"], [b"\x03\x00", b"\0"]])
def test_nothing_stands_behind_the_end_of_a_stream(before):
    inflater = Inflater(DeflateTerms({}))
    for fragment in before:
        assert inflater.inflate(fragment, 100, False) == b""
    with pytest.raises(RemoteProtocolError) as caught:
        inflater.inflate(b"\x03\x00" + HELLO, 100, True)
    assert caught.value.status == 1007
