from __future__ import annotations

import pytest

from tests.load.answers import Answer, AnswerReader, GarbledError

PLAIN = b"HTTP/1.1 200 OK\r\nX-Number: 1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"


def read(*pieces: bytes) -> list[Answer]:
    reader = AnswerReader()
    answers = []
    for piece in pieces:
        reader.feed(piece)
        while (answer := reader.next()) is not None:
            answers.append(answer)
    assert not reader.begun
    return answers


def test_answers_follow_one_another():
    first, second = read(PLAIN + CHUNKED)
    assert first == Answer(200, {"x-number": "1", "content-length": "5"}, b"hello")
    assert second.body == b"hello!"


@pytest.mark.parametrize("data", [PLAIN, CHUNKED])
def test_an_answer_may_come_byte_by_byte(data):
    assert read(*(data[i : i + 1] for i in range(len(data)))) == read(data)


@pytest.mark.parametrize("data", [PLAIN, CHUNKED])
def test_an_answer_is_not_whole_before_its_last_byte(data):
    reader = AnswerReader()
    for end in range(1, len(data)):
        reader.feed(data[end - 1 : end])
        assert reader.next() is None
        assert reader.begun


@pytest.mark.parametrize(("value", "announced"), [("close", True), ("Close", True), ("keep-alive", False)])
def test_a_close_may_be_announced(value, announced):
    (answer,) = read(PLAIN.replace(b"X-Number: 1", b"Connection: " + value.encode()))
    assert answer.announces_close is announced


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n!",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_does_not_look_like_one(data):
    reader = AnswerReader()
    reader.feed(data)
    with pytest.raises(GarbledError):
        reader.next()
