"""One connection: the topics of the Autobahn test suite, as cases of our own, whole and byte by byte.

The numbers behind the headlines are those of its sections.
"""

from __future__ import annotations

import pytest

from sdserve.errors import LocalProtocolError
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
    close,
    frame,
    header,
    message,
    plain,
    refused,
    said,
    talk,
)

SIZES = [0, 1, 16, 125, 126, 127, 128, 4096, 65535, 65536, 70_000]
# Framing (1)


@pytest.mark.parametrize("size", SIZES)
def test_a_text_arrives(size):
    assert said(frame(TEXT, b"*" * size)).messages == ["*" * size]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_arrive(size):
    assert said(frame(BINARY, b"\xfe" * size)).messages == [b"\xfe" * size]


@pytest.mark.parametrize("size", [20_000, 70_000])
def test_a_long_frame_arrives_in_pieces_with_others_behind_it(size):
    data = frame(BINARY, b"a" * size) + frame(TEXT, b"b") + frame(BINARY, b"c" * size)
    for step in (997, 4096, size):
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        assert talk(pieces).messages == [b"a" * size, "b", b"c" * size]


@pytest.mark.parametrize("size", SIZES)
def test_a_message_is_sent_as_one_frame(size):
    talking = Talk()
    assert b"".join(talking.connection.send_bytes(b"x" * size)) == plain(BINARY, b"x" * size)
    assert b"".join(talking.connection.send_text("y" * size)) == plain(TEXT, b"y" * size)


def test_what_is_like_bytes_is_sent_as_bytes():
    connection = Talk().connection
    assert (
        connection.send_bytes(bytearray(b"ab"))
        == connection.send_bytes(memoryview(b"ab"))
        == (b"\x82\x02", b"ab")
    )


def test_text_is_sent_as_utf8():
    assert b"".join(Talk().connection.send_text("ä😀")) == plain(TEXT, "ä😀".encode())


def test_what_is_no_text_is_not_sent():
    connection = Talk().connection
    with pytest.raises(LocalProtocolError, match="no UTF-8"):
        connection.send_text("\ud800")
    with pytest.raises(LocalProtocolError, match="no str but bytes"):
        connection.send_text(b"text")  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="bytes that are none but str"):
        connection.send_bytes("bytes")  # type: ignore[arg-type]


@pytest.mark.parametrize(("bits", "length"), [(126, 0), (126, 125), (127, 0), (127, 0xFFFF)])
def test_a_length_is_in_its_shortest_form(bits, length):
    raw = length.to_bytes(2 if bits == 126 else 8, "big")
    assert refused(bytes((FIN | BINARY, 0x80 | bits)) + raw + KEY) == 1002


def test_a_length_has_no_64th_bit():
    assert refused(bytes((FIN | BINARY, 0xFF)) + (1 << 63).to_bytes(8, "big") + KEY) == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_a_frame_is_masked(opcode):
    assert refused(header(FIN | opcode, 2, masked=False) + b"ab") == 1002


def test_the_client_chooses_the_key():
    key = b"\x00\xff\x01\x02"
    assert said(frame(TEXT, b"hello", key=key) + frame(TEXT, b"again", key=bytes(4))).messages == [
        "hello",
        "again",
    ]


# Pings and pongs (2)


@pytest.mark.parametrize("size", [0, 1, 125])
def test_a_ping_is_answered_with_what_it_carries(size):
    result = said(frame(PING, b"\xfe" * size))
    assert result.written == plain(PONG, b"\xfe" * size)
    assert result.messages == []


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("size", [126, 70_000])
def test_a_control_frame_is_short(opcode, size):
    # Known from its first two bytes.
    assert refused(header(FIN | opcode, size)[:2]) == 1002


def test_a_pong_that_nobody_asked_for_is_nothing():
    result = said(frame(PONG, b"unasked") + frame(PING, b"ping"))
    assert result.written == plain(PONG, b"ping")


def test_each_of_some_pings_is_answered_in_order():
    pings = [b"payload-%d" % number for number in range(10)]
    result = said(b"".join(frame(PING, ping) for ping in pings))
    assert result.written == b"".join(plain(PONG, ping) for ping in pings)


def test_of_a_flood_of_pings_the_last_are_answered():
    pings = [b"%0100d" % number for number in range(10_000)]
    written = talk([b"".join(frame(PING, ping) for ping in pings)]).written
    assert len(written) < 5000
    assert written.endswith(plain(PONG, pings[-1]))


# Reserved bits and opcodes (3, 4)


@pytest.mark.parametrize("rsv", [RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV2 | RSV3])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, PING, CLOSE])
def test_a_reserved_bit_is_refused(rsv, opcode):
    assert refused(frame(TEXT, b"before") + frame(opcode, b"", rsv=rsv)) == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("size", [0, 5])
def test_a_reserved_opcode_is_refused(opcode, size):
    result = said(frame(TEXT, b"before") + frame(opcode, b"x" * size) + frame(PING))
    assert result.failed == 1002
    assert result.messages == ["before"]


# Fragments (5)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_has_no_fragments(opcode):
    assert refused(frame(opcode, b"", fin=False) + frame(CONTINUATION)) == 1002


@pytest.mark.parametrize(
    "fragments",
    [(b"frag", b"ment"), (b"", b""), (b"", b"a", b""), (b"a",) * 300, (b"x" * 5000, b"y" * 70_000)],
)
def test_fragments_are_one_message(fragments):
    whole = b"".join(fragments)
    assert said(message(TEXT, *fragments)).messages == [whole.decode()]
    assert said(message(BINARY, *fragments)).messages == [whole]


def test_a_ping_between_fragments_is_answered_at_once():
    start = frame(TEXT, b"frag", fin=False) + frame(PING, b"ping")
    assert said(start).written == plain(PONG, b"ping")
    result = said(start + frame(CONTINUATION, b"ment") + frame(TEXT, b"next"))
    assert result.messages == ["fragment", "next"]


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_continues_something(fin):
    assert refused(frame(CONTINUATION, b"nothing", fin=fin)) == 1002
    assert refused(message(TEXT, b"a", b"b") + frame(CONTINUATION, b"c", fin=fin)) == 1002


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_does_not_begin_in_another(opcode, fin):
    assert refused(frame(TEXT, b"a", fin=False) + frame(opcode, b"b", fin=fin)) == 1002


# UTF-8 (6)

VALID = [
    "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\x7f", "\x80", "߿", "ࠀ", "￿", "𐀀", "\U0010ffff", "퟿",
    "�", "�", "\U0002fffe",
]  # fmt: skip
INVALID = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",  # a surrogate in the middle
    b"\x80", b"\xbf", b"\x80\xbf\x80", b"\xfe", b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
    b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80",
    b"\xf7\xbf\xbf\xbf", b"\xc2", b"\xe0\xa0", b"\xf0\x90\x80",
]  # fmt: skip


@pytest.mark.parametrize("text", VALID)
def test_a_text_is_utf8(text):
    raw = text.encode()
    assert said(frame(TEXT, raw)).messages == [text]
    assert said(message(TEXT, *(raw[at : at + 1] for at in range(len(raw))))).messages == [text]
    assert said(message(TEXT, b"", raw, b"")).messages == [text]


@pytest.mark.parametrize("raw", INVALID)
def test_a_text_that_is_not_utf8_is_refused(raw):
    assert refused(frame(TEXT, raw)) == 1007
    assert refused(message(TEXT, *(raw[at : at + 1] for at in range(len(raw))))) == 1007
    assert refused(message(TEXT, b"", raw, b"")) == 1007


def test_a_fragment_that_is_not_utf8_is_refused_before_the_message_is_complete():
    assert refused(frame(TEXT, b"good", fin=False) + frame(CONTINUATION, b"\xf4\x90", fin=False)) == 1007


def test_a_character_may_lie_in_two_fragments():
    first, second = "κ".encode()[:1], "κ".encode()[1:]
    assert said(message(TEXT, first, second)).messages == ["κ"]
    # and what was left of a message that was refused, or is complete, is not part of the next one
    assert said(message(TEXT, b"a", b"b") + message(TEXT, first, second)).messages == ["ab", "κ"]


def test_bytes_need_not_be_utf8():
    assert said(message(BINARY, *INVALID)).messages == [b"".join(INVALID)]


# Closing (7)


def test_a_close_frame_is_answered_with_its_code():
    result = said(frame(TEXT, b"last") + close(1000, b"bye"))
    assert result.messages == ["last"]
    assert result.written == plain(CLOSE, b"\x03\xe8")
    assert (result.connection.close_code, result.connection.close_reason) == (1000, "bye")
    assert result.connection.closed


def test_a_close_frame_without_a_code_is_1005():
    result = said(close(None))
    assert result.written == plain(CLOSE)
    assert (result.connection.close_code, result.connection.close_reason) == (1005, "")


def test_an_end_without_a_close_frame_is_1006():
    assert said(frame(TEXT, b"x")).connection.close_code == 1006


@pytest.mark.parametrize("behind", [frame(TEXT, b"x"), frame(PING), close(), b"\xff\xff"])
def test_nothing_is_read_behind_a_close_frame(behind):
    result = said(close(1001) + behind)
    assert result.messages == []
    assert result.written == plain(CLOSE, b"\x03\xe9")
    assert result.failed is None


def test_a_close_frame_in_the_middle_of_a_message_ends_it():
    result = said(frame(TEXT, b"half", fin=False) + close())
    assert result.messages == []
    assert result.connection.closed


def test_a_close_frame_has_a_whole_code():
    assert refused(frame(CLOSE, b"\x03")) == 1002


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_a_close_frame_has_a_valid_code(code):
    assert refused(close(code)) == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
def test_the_application_learns_the_code(code):
    assert said(close(code, b"r" * 123)).connection.close_code == code


def test_a_reason_is_utf8():
    assert refused(close(1000, b"\xff")) == 1007


def test_our_close_frame_is_sent_once_and_answered_by_the_client():
    talking = Talk()
    connection = talking.connection
    assert connection.send_close(1012, "restart") == plain(CLOSE, b"\x03\xf4restart")
    assert connection.closing
    assert connection.send_close(1000, "") == b""
    talking.receive(frame(TEXT, b"was on its way") + frame(PING) + close(1012))
    assert talking.messages == ["was on its way"]
    assert talking.written == b""  # no pong behind a close frame, and no second one of those
    assert connection.closed
    assert connection.close_code == 1012


def test_both_may_close_at_the_same_time():
    talking = Talk()
    talking.connection.send_close(1000, "")
    talking.receive(close(4000, b"mine"))
    assert talking.connection.closed
    assert talking.written == b""
    assert talking.connection.close_code == 4000


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 5000, 70_000])
def test_a_code_that_may_not_be_sent_is_not(code):
    connection = Talk().connection
    with pytest.raises(LocalProtocolError, match="no close code"):
        connection.send_close(code, "")
    assert not connection.closing


def test_a_long_reason_is_cut_between_characters():
    sent = Talk().connection.send_close(1000, "a" + "ä" * 100)
    assert sent == plain(CLOSE, b"\x03\xe8a" + "ä".encode() * 61)


def test_a_reason_without_utf8_is_sent_as_far_as_it_goes():
    assert Talk().connection.send_close(1000, "a\ud800b") == plain(CLOSE, b"\x03\xe8a?b")


def test_who_breaks_a_rule_while_we_close_is_not_told_twice():
    talking = Talk()
    talking.connection.send_close(1000, "")
    talking.receive(frame(3))
    assert talking.failed == 1002
    assert talking.written == b""
    assert talking.connection.over


def test_nothing_is_read_after_a_failure():
    talking = Talk()
    talking.receive(frame(TEXT, b"a") + frame(3) + frame(TEXT, b"b"))
    assert talking.messages == ["a"]
    written = talking.written
    assert written == plain(CLOSE, b"\x03\xea" + b"a frame with a reserved opcode")
    talking.receive(frame(TEXT, b"c") + frame(PING))
    assert (talking.messages, talking.written) == (["a"], written)
