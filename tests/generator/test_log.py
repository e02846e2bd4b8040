from __future__ import annotations

import socket

import pytest

from sdserve.core import catalog
from sdserve.generator import log
from sdserve.host import journal


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SOCKET", f"{tmp_path}/journal")
    monkeypatch.setattr(log, "KERNEL", f"{tmp_path}/kmsg")
    return tmp_path


def test_it_writes_to_the_journal_where_the_units_messages_are(places):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
        reader.bind(journal.SOCKET)
        log.write("shop", "two\nlines")
        fields = dict(line.split("=", 1) for line in reader.recv(4096).decode().splitlines())
        log.write("", "of nobody")
        others = reader.recv(4096).decode()
    assert fields["MESSAGE"] == "two lines"
    assert fields["PRIORITY"] == "3"
    assert fields["MESSAGE_ID"] == catalog.NO_SOCKETS
    assert fields["OBJECT_SYSTEMD_UNIT"] == "sdserve@shop.service"
    assert "OBJECT_SYSTEMD_UNIT" not in others


def test_before_there_is_a_journal_the_kernel_takes_it(places):
    (places / "kmsg").write_text("")
    log.write("shop", "wrong")
    line = (places / "kmsg").read_text()
    assert line == "<3>sdserve-generator: wrong\n"


def test_where_there_is_neither_standard_error_takes_it(places, capsys):
    log.write("shop", "wrong")
    assert capsys.readouterr().err == "sdserve-generator: wrong\n"
