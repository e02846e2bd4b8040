"""`workers.idle_exit`: a service that nobody needs stops, and the next connection starts it again."""

from __future__ import annotations

import pytest

from tests.system.instance import Instance
from tests.system.pairs import one_each
from tests.system.waiting import let_pass

pytestmark = pytest.mark.system

ROUNDS = 8


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_an_idle_service_stops_cleanly_and_starts_again(hello: Instance, application: str) -> None:
    hello.configure(application, "[workers]", "count = 1", "idle_exit = 2s")
    hello.listen()
    hello.start()
    with hello.machine.connect_tcp("127.0.0.1", hello.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        let_pass(3.0)
        assert hello.property("ActiveState") == "active", "somebody is connected"
    hello.wait_for_state("inactive")
    assert hello.property("Result") == "success"
    assert hello.property("ActiveState", unit=hello.socket) == "active"
    assert "so the service is not needed" in hello.journal()

    assert hello.get("/").status == 200, "it was started by this"
    hello.wait_for_state("inactive")


def test_a_connection_at_the_very_moment_is_served(hello: Instance) -> None:
    hello.configure("fastapi_probe:app", "[workers]", "count = 1", "idle_exit = 200ms")
    hello.listen()
    hello.start()
    for number in range(ROUNDS):
        # Around the moment of the decision, before it and after it.
        let_pass(0.15 + 0.02 * number)
        assert hello.get("/").status == 200
    assert hello.property("ActiveState", unit=hello.socket) == "active"
    assert hello.property("NRestarts") == "0"


def test_without_a_socket_unit_it_goes_on(hello: Instance) -> None:
    hello.configure("fastapi_probe:app", "[workers]", "count = 1", "idle_exit = 100ms")
    hello.start()  # without a daemon-reload, so there are no socket units yet
    let_pass(1.0)
    assert hello.property("ActiveState") == "active"
    assert "idle_exit is ignored" in hello.journal()
