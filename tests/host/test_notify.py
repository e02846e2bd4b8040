from __future__ import annotations

import socket

import pytest

from sdserve.host import notify
from sdserve.host.notify import ServiceManager
from tests.notify_socket import NotifySocket


@pytest.fixture
def manager(monkeypatch):
    manager = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    yield manager
    manager.close()


@pytest.fixture
def told():
    told = ServiceManager()
    yield told
    told.close()


def test_each_word_is_said_as_the_protocol_has_it(manager, told):
    told.tell(notify.READY)
    told.tell(notify.status("Serving, 2 of 2 workers ready"))
    told.tell(notify.STOPPING)
    assert manager.status == "Serving, 2 of 2 workers ready"
    assert manager.messages[0] == ("READY", "1")
    assert manager.messages[-1] == ("STOPPING", "1")


def test_a_reload_tells_when_it_began(manager, told):
    told.tell(notify.reloading(1_234_567_890))
    told.tell(notify.extend_timeout(2.5))
    assert manager.status == ""
    assert manager.messages == [
        ("RELOADING", "1"),
        ("MONOTONIC_USEC", "1234567"),
        ("EXTEND_TIMEOUT_USEC", "2500000"),
    ]


def test_a_status_cannot_smuggle_another_word(manager, told):
    told.tell(notify.status("oh\nREADY=1\r\nSTOPPING=1"))
    assert manager.status == "oh READY=1 STOPPING=1"
    assert len(manager.messages) == 1


def test_without_a_manager_nothing_happens(monkeypatch, told):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    told.tell(notify.READY)
    assert not told.is_behind
    assert told.fileno() == -1


def test_a_manager_that_is_gone_is_an_error(manager, told):
    manager.close()
    with pytest.raises(OSError, match="refused"):
        told.tell(notify.READY)
    assert not told.is_behind


def test_a_manager_with_another_socket_of_the_name_is_found_again(monkeypatch, tmp_path, told):
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(path)
            receiver.settimeout(20)
            told.tell(notify.READY)
            assert receiver.recv(100) == b"READY=1"
        (tmp_path / "notify").unlink()


def test_a_manager_that_does_not_read_is_told_everything_that_matters_when_it_does(manager, told):
    number = 0
    while not told.is_behind:
        told.tell(notify.status(f"{number}"))
        number += 1
        assert number < 10_000
    told.tell(notify.READY)
    for more in range(5):
        told.tell(notify.status(f"last {more}"))
    told.tell(notify.STOPPING)
    assert told.fileno() >= 0
    assert manager.status == str(number - 2)
    manager.messages.clear()
    told.flush()
    assert not told.is_behind
    assert manager.status == "last 4"
    assert manager.messages == [("READY", "1"), ("STATUS", "last 4"), ("STOPPING", "1")]
