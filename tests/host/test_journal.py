import socket

import pytest

from sdserve.host import journal


@pytest.fixture
def reader(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SOCKET", f"{tmp_path}/journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as reader:
        reader.bind(journal.SOCKET)
        yield reader


def test_a_message_is_a_datagram_of_fields(reader):
    journal.send({"MESSAGE": "ä", "PRIORITY": 3})
    assert reader.recv(100) == "MESSAGE=ä\nPRIORITY=3\n".encode()


def test_a_value_of_several_lines_has_its_length_before_it(reader):
    journal.send({"MESSAGE": "a\nb", "PRIORITY": 3})
    assert reader.recv(100) == b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n"


def test_text_that_has_no_utf_8_is_sent_escaped(reader):
    journal.send({"MESSAGE": "\udcff"})
    assert reader.recv(100) == b"MESSAGE=\\udcff\n"


def test_a_journal_that_does_not_read_is_not_waited_for(reader):
    def send_many():
        for _ in range(10_000):
            journal.send({"MESSAGE": "x"})

    with pytest.raises(BlockingIOError):
        send_many()


def test_without_a_journal_it_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(journal, "SOCKET", f"{tmp_path}/none")
    with pytest.raises(FileNotFoundError):
        journal.send({"MESSAGE": "x"})
