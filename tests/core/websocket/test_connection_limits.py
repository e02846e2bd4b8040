"""One connection: limits, compression and time. The numbers are those of the Autobahn test suite."""

from __future__ import annotations

import zlib

import pytest

from sdserve.core.websocket.deflate import DeflateTerms
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.errors import RemoteProtocolError
from tests.core.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Talk,
    frame,
    header,
    mask,
    message,
    plain,
    refused,
    said,
    talk,
)

SIZES = [0, 1, 16, 125, 126, 127, 128, 4096, 65535, 65536, 70_000]
DEFLATE: dict[bytes, bytes | None] = {}
"""An offer without parameters."""


def deflated(data, *, final=zlib.Z_SYNC_FLUSH):
    compressor = zlib.compressobj(wbits=-15)
    out = compressor.compress(data) + compressor.flush(final)
    return out[:-4] if final == zlib.Z_SYNC_FLUSH else out


# Limits (9)

SMALL = WebSocketOptions(max_message=1000)


def test_a_message_may_be_as_long_as_the_limit():
    assert said(frame(BINARY, b"x" * 1000), SMALL).messages == [b"x" * 1000]
    assert said(message(BINARY, b"x" * 600, b"y" * 400, b""), SMALL).messages == [b"x" * 600 + b"y" * 400]
    assert said(message(BINARY, b"x" * 600, b"y") + frame(BINARY, b"z" * 1000), SMALL).failed is None


def test_a_frame_that_is_too_long_is_refused_before_its_payload():
    assert refused(header(FIN | BINARY, 1001), SMALL) == 1009
    assert refused(header(BINARY, 1001), SMALL) == 1009
    assert refused(header(FIN | TEXT, 1 << 40), SMALL) == 1009


def test_fragments_are_counted_together():
    assert refused(frame(BINARY, b"x" * 600, fin=False) + header(FIN | CONTINUATION, 401), SMALL) == 1009


def test_a_control_frame_in_a_long_message_does_not_count():
    data = frame(BINARY, b"x" * 600, fin=False) + frame(PING, b"p" * 100) + frame(CONTINUATION, b"y" * 400)
    assert said(data, SMALL).failed is None


# Compression (12, 13)


@pytest.mark.parametrize("size", SIZES)
def test_a_compressed_message_arrives(size):
    text = ("äbc" * size)[:size]
    data = frame(TEXT, deflated(text.encode()), rsv=RSV1) + frame(BINARY, b"plain")
    assert said(data, None, DEFLATE).messages == [text, b"plain"]


def test_a_compressed_message_with_a_ping_between_its_fragments_arrives():
    payload = deflated(b"fragment" * 50)
    data = (
        frame(TEXT, payload[:5], fin=False, rsv=RSV1)
        + frame(PING, b"ping")
        + frame(CONTINUATION, payload[5:9], fin=False)
        + frame(PONG)
        + frame(CONTINUATION, payload[9:])
    )
    result = said(data, None, DEFLATE)
    assert result.messages == ["fragment" * 50]
    assert result.written == plain(PONG, b"ping")


def test_a_compressed_text_is_utf8_fragment_by_fragment():
    assert refused(frame(TEXT, deflated(b"\xff"), rsv=RSV1), None, DEFLATE) == 1007
    compressor = zlib.compressobj(wbits=-15)
    first = compressor.compress(b"\xf4\x90") + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert refused(frame(TEXT, first, fin=False, rsv=RSV1), None, DEFLATE) == 1007


def test_what_is_no_deflated_data_is_refused():
    assert refused(frame(BINARY, b"\xff" * 20, rsv=RSV1), None, DEFLATE) == 1007


@pytest.mark.parametrize("opcode", [CONTINUATION, PING, PONG, CLOSE])
def test_only_the_first_frame_of_a_message_says_that_it_is_compressed(opcode):
    data = frame(TEXT, b"", fin=False, rsv=RSV1) + frame(opcode, b"", rsv=RSV1)
    assert refused(data, None, DEFLATE) == 1002


@pytest.mark.parametrize("rsv", [RSV2, RSV3, RSV1 | RSV2])
def test_other_bits_stay_reserved(rsv):
    assert refused(frame(TEXT, b"", rsv=rsv), None, DEFLATE) == 1002


@pytest.mark.parametrize("cut", [None, 5])
def test_a_bomb_is_not_inflated(cut):
    bomb = deflated(b"\0" * 50_000_000)
    assert len(bomb) < 50_000
    options = WebSocketOptions(max_message=100_000)
    if cut is None:
        data = frame(BINARY, bomb, rsv=RSV1)
    else:
        data = frame(BINARY, bomb[:cut], fin=False, rsv=RSV1) + frame(CONTINUATION, bomb[cut:])
    assert talk([data], options, DeflateTerms(DEFLATE)).failed == 1009


def test_a_compressed_message_may_be_as_long_as_the_limit_and_no_longer():
    assert said(frame(BINARY, deflated(b"x" * 1000), rsv=RSV1), SMALL, DEFLATE).messages == [b"x" * 1000]
    assert refused(frame(BINARY, deflated(b"x" * 1001), rsv=RSV1), SMALL, DEFLATE) == 1009


def test_a_compressed_frame_that_can_only_be_too_long_is_refused_before_its_payload():
    assert refused(header(FIN | BINARY | RSV1, 1254), SMALL, DEFLATE) == 1009
    assert refused(header(FIN | BINARY, 1001), SMALL, DEFLATE) == 1009
    # Deflated data that stand for nothing are counted as they are.
    nothing = (
        frame(BINARY, b"", fin=False, rsv=RSV1) + frame(CONTINUATION, b"\0\0\0\xff\xff" * 200, fin=False) * 2
    )
    assert refused(nothing, SMALL, DEFLATE) == 1009


def test_messages_that_are_worth_it_are_sent_compressed():
    connection = Talk(terms=DeflateTerms(DEFLATE)).connection
    assert b"".join(connection.send_text("short")) == plain(TEXT, b"short")
    assert b"".join(connection.send_bytes(b"short")) == plain(BINARY, b"short")
    header_, payload = connection.send_text("long " * 100)
    assert header_[0] == FIN | RSV1 | TEXT
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(payload + b"\0\0\xff\xff") == b"long " * 100
    header_, payload = connection.send_bytes(b"long " * 100)
    assert header_[0] == FIN | RSV1 | BINARY
    assert inflater.decompress(payload + b"\0\0\xff\xff") == b"long " * 100


# Time


def test_a_client_is_asked_whether_it_is_there():
    talking = Talk()
    connection = talking.connection
    connection.tick(119.0, waiting=False)
    assert connection.take_output() == b""
    connection.tick(120.0, waiting=False)
    assert connection.take_output() == plain(PING, b"1")
    talking.receive(frame(PONG, b"1"))
    connection.tick(140.0, waiting=False)
    assert connection.take_output() == plain(PING, b"2")


def test_a_client_that_is_not_there_is_given_up():
    connection = Talk().connection
    connection.tick(120.0, waiting=False)
    connection.tick(139.0, waiting=False)
    with pytest.raises(RemoteProtocolError, match="ping") as caught:
        connection.tick(140.0, waiting=False)
    assert caught.value.status == 1011
    reason = b"no answer to a ping within websocket.ping_timeout"
    assert connection.fail(caught.value) == plain(CLOSE, b"\x03\xf3" + reason)


def test_bytes_of_a_long_frame_are_a_sign_of_life():
    talking = Talk()
    talking.connection.tick(120.0, waiting=False)
    talking.receive(header(FIN | BINARY, 50_000) + KEY + mask(b"begin"))
    talking.connection.tick(140.0, waiting=False)
    assert talking.failed is None


def test_nothing_is_said_of_a_client_that_nobody_listens_to():
    connection = Talk().connection
    connection.tick(120.0, waiting=True)
    assert connection.take_output() == b""
    connection.tick(121.0, waiting=False)
    assert connection.take_output() == plain(PING, b"1")
    connection.tick(150.0, waiting=True)
    connection.tick(169.0, waiting=False)
    with pytest.raises(RemoteProtocolError):
        connection.tick(170.0, waiting=False)


def test_no_ping_is_sent_without_an_interval_or_once_we_close():
    connection = Talk(WebSocketOptions(ping_interval=0)).connection
    connection.tick(10_000.0, waiting=False)
    assert connection.take_output() == b""
    connection = Talk().connection
    connection.send_close(1000, "")
    connection.tick(10_000.0, waiting=False)
    assert connection.take_output() == b""


def test_without_a_time_out_a_ping_is_only_that():
    connection = Talk(WebSocketOptions(ping_timeout=0)).connection
    for now in (120.0, 140.0, 160.0):
        connection.tick(now, waiting=False)
    assert connection.take_output() == plain(PING, b"1") + plain(PING, b"2") + plain(PING, b"3")
