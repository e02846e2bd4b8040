"""The end of a server, as its clients see it."""

from __future__ import annotations

import pytest

from tests.frameworks.apps import site
from tests.serving import serve

APPS = "tests.frameworks.apps"
SITES = [f"{APPS}.flask_site:app", f"{APPS}.django_asgi:application", f"{APPS}.quart_site:app"]


@pytest.mark.parametrize("application", SITES)
def test_an_answer_that_has_begun_is_finished_first(application, gate):
    with serve(application, threads=4) as server, server.connection() as client:
        client.request("GET", f"/stream-down?gate={gate.path}")
        answer = client.getresponse()
        assert answer.readline().decode() == site.FIRST
        server.process.terminate()
        server.wait_for_status("Stopping")
        gate.open()
        assert answer.read().decode() == site.LAST
        assert server.process.wait() == 0


@pytest.mark.parametrize("application", SITES)
def test_an_idle_connection_is_closed(application):
    with serve(application) as server, server.connection() as client:
        assert client.exchange("GET", "/hello").text == site.GREETING
        assert server.stop() == 0
        assert client.sock.recv(1) == b""


@pytest.mark.parametrize("application", SITES)
def test_a_second_signal_ends_it_at_once(application, gate):
    with serve(application, threads=4) as server, server.connection() as client:
        client.request("GET", f"/stream-down?gate={gate.path}")
        assert client.getresponse().readline().decode() == site.FIRST
        server.process.terminate()
        server.wait_for_status("Stopping")
        server.insist()
        # The gate is still closed.
        assert server.process.wait() == 0
