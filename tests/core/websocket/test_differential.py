"""The codec beside that of the websockets library: the same bytes to both, right ones and ones with a fault.

Where the two disagree the RFC decides. What the library leaves to its upper layer, putting messages together
and checking their UTF-8, is done for it here.
"""

from __future__ import annotations

import zlib
from codecs import getincrementaldecoder

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from sdserve.core.websocket.deflate import DeflateTerms
from sdserve.core.websocket.options import WebSocketOptions
from tests.core.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    close,
    frame,
    talk,
)

MOST = 2000

keys = st.binary(min_size=4, max_size=4)
payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"x" * 126, "ä".encode() * 300]),
)
controls = st.builds(
    lambda opcode, payload, key: frame(opcode, payload, key=key),
    st.sampled_from([PING, PONG]),
    payloads,
    keys,
).filter(lambda made: len(made) <= 131)
closes = st.one_of(
    st.builds(close, st.sampled_from([None, 1000, 1001, 3000, 4999])),
    st.builds(close, st.sampled_from([1005, 2000, 1000]), st.binary(max_size=5)),
)


@st.composite
def messages(draw, compressed):
    """A message in fragments, with control frames between them."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(payloads)
    deflated = compressed and draw(st.booleans())
    if deflated:
        compressor = zlib.compressobj(wbits=-12)
        payload = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    made = b""
    for index, part in enumerate(parts):
        made += draw(st.one_of(st.just(b""), controls))
        first = CONTINUATION if index else opcode
        rsv = RSV1 if deflated and not index else 0
        made += frame(first, part, fin=index == len(parts) - 1, rsv=rsv, key=draw(keys))
    return made


def conversations(compressed):
    return st.builds(
        lambda parts, end: b"".join(parts) + end,
        st.lists(st.one_of(messages(compressed), controls), max_size=5),
        st.one_of(st.just(b""), closes),
    )


@st.composite
def faulty(draw, compressed):
    """A conversation of which one byte is another one."""
    data = bytearray(draw(conversations(compressed)))
    if data:
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(data)


def library(data, compressed):
    """What the library makes of it: messages, the control frames that it answers with, whether it fails."""
    extensions = [PerMessageDeflate(False, False, 15, 12)] if compressed else []
    protocol = ServerProtocol(state=State.OPEN, max_size=MOST)
    protocol.extensions = extensions
    protocol.receive_data(data)
    found = []
    parts = []
    text = False
    decoder = getincrementaldecoder("utf-8")()
    for event in protocol.events_received():
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if event.opcode is not Opcode.CONT:
                text = event.opcode is Opcode.TEXT
            parts.append(bytes(event.data))
            if text:
                try:
                    decoder.decode(parts[-1], event.fin)
                except UnicodeDecodeError:
                    return found, True
            if event.fin:
                whole = b"".join(parts)
                found.append(whole.decode() if text else whole)
                parts = []
    return found, protocol.parser_exc is not None


def ours(data, compressed):
    terms = DeflateTerms({b"client_max_window_bits": b"12"}) if compressed else None
    made = talk([data], WebSocketOptions(max_message=MOST), terms)
    return made.messages, made.failed is not None


@settings(max_examples=60, deadline=None)
@given(st.booleans().flatmap(lambda compressed: st.tuples(conversations(compressed), st.just(compressed))))
def test_both_make_the_same_of_conversations(case):
    assert ours(*case) == library(*case)


@settings(max_examples=60, deadline=None)
@given(st.booleans().flatmap(lambda compressed: st.tuples(faulty(compressed), st.just(compressed))))
def test_both_find_the_same_faults(case):
    data, compressed = case
    messages, fails = ours(data, compressed)
    found, later = library(data, compressed)
    if fails and not later:
        # We need no more than the first bytes of a frame; the library waits for the end of it.
        _, later = library(data + bytes(2 * MOST), compressed)
    assert (messages, fails) == (found, later)


@given(
    st.booleans().flatmap(lambda compressed: st.tuples(faulty(compressed), st.just(compressed))), st.data()
)
def test_how_the_bytes_are_cut_changes_nothing(case, more):
    data, compressed = case
    at = more.draw(st.integers(0, len(data)))
    options = WebSocketOptions(max_message=MOST)

    def terms():
        return DeflateTerms({}) if compressed else None

    assert talk([data[:at], data[at:]], options, terms()).facts == talk([data], options, terms()).facts


def test_the_library_is_asked_what_it_should_be():
    data = frame(TEXT, b"a", fin=False) + frame(PING) + frame(CONTINUATION, b"b") + frame(BINARY, b"\xff")
    assert library(data, False) == ours(data, False) == (["ab", b"\xff"], False)
    assert library(frame(FIN & CLOSE | 3), False) == ours(frame(3), False) == ([], True)
