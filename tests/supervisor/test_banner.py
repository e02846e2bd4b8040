from __future__ import annotations

import os
import pty
import socket
from dataclasses import replace

import pytest

from sdserve.core.tls.options import TlsOptions
from sdserve.host import logs
from sdserve.host.listeners import ListenSocket
from sdserve.supervisor import banner
from sdserve.supervisor.control import Control


@pytest.fixture
def house(start):
    house = start("shop:app").house
    house.interface = "asgi"
    return house


def test_it_tells_what_is_served_how_where_and_how_to_stop(house):
    text = banner.text(house)
    port = house.listeners[0].socket.getsockname()[1]
    how = f"kill -HUP {os.getpid()}"
    for part in ("shop:app (asgi)", "1 x 1 thread", f"http://127.0.0.1:{port}/", how, "Ctrl-C"):
        assert part in text


def test_with_a_control_socket_it_tells_the_command(house, monkeypatch):
    monkeypatch.setattr(house, "control", Control.__new__(Control))
    text = banner.text(house)
    house.control = None
    assert "sdserve reload test" in text


def test_a_unix_socket_is_written_as_configured(house, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/web.sock")
        url = banner.url(ListenSocket("web", listener), house.configuration)
        assert url == f"unix:{tmp_path}/web.sock"


def test_a_listener_with_a_certificate_is_an_https_address(house):
    [listener] = house.listeners
    secure = replace(house.configuration.listen[0], tls=TlsOptions(certificates=("/a.pem",)))
    port = listener.socket.getsockname()[1]
    for section, url in (
        (secure, f"https://127.0.0.1:{port}/"),
        (replace(secure, name="x"), f"http://127.0.0.1:{port}/"),
    ):
        assert banner.url(listener, replace(house.configuration, listen=(section,))) == url


def test_only_a_terminal_gets_it(house, monkeypatch, tmp_path):
    leader, terminal = pty.openpty()
    monkeypatch.setattr(logs, "STDERR", terminal)
    banner.show(house)
    assert b"shop:app (asgi)" in os.read(leader, 10_000)
    os.close(terminal)
    os.close(leader)
    with open(tmp_path / "log", "w") as log:
        monkeypatch.setattr(logs, "STDERR", log.fileno())
        banner.show(house)
    assert (tmp_path / "log").read_text() == ""
