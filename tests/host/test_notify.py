from __future__ import annotations

import pytest

from sdserve.host import notify
from tests.notify_socket import NotifySocket


@pytest.fixture
def manager(monkeypatch):
    received = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", received.address)
    yield received
    received.close()


def test_each_word_is_said_as_the_protocol_has_it(manager):
    notify.ready()
    notify.status("Serving, 2 of 2 workers ready")
    notify.stopping()
    assert manager.status == "Serving, 2 of 2 workers ready"
    assert manager.messages[0] == ("READY", "1")
    assert manager.messages[-1] == ("STOPPING", "1")


def test_a_status_cannot_smuggle_another_word(manager):
    notify.status("oh\nREADY=1\r\nSTOPPING=1")
    assert manager.status == "oh READY=1 STOPPING=1"
    assert len(manager.messages) == 1


def test_without_a_manager_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready()


def test_a_manager_that_is_gone_is_an_error(manager):
    manager.close()
    with pytest.raises(OSError, match="refused"):
        notify.ready()
