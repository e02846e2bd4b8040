"""`systemctl restart`: idle connections are kept by systemd, and served on."""

from __future__ import annotations

import pytest

from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.instance import Instance
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.waiting import let_pass

pytestmark = pytest.mark.system

REQUEST = b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"
CONTROL_REQUESTS = 300
RESTARTS = 3


@one_each("flavour", WSGI_4, ASGI)
def test_restarts_under_load_close_no_connection(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour)
    with shop.load() as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        for _ in range(RESTARTS):
            machine.systemctl("restart", shop.instance.service)
        load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()
    assert not report.faults(), report.faults()


def test_the_newest_ones_are_kept_and_the_rest_is_closed_in_order(hello: Instance) -> None:
    hello.drop_in(hello.service, "[Service]\nFileDescriptorStoreMax=14\nEnvironment=FDSTORE=14\n")
    hello.configure("fastapi_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    clients = []
    for _ in range(2):
        for _ in range(3):
            clients.append(hello.machine.connect_tcp("127.0.0.1", hello.port))
            clients[-1].sendall(REQUEST)
            assert clients[-1].recv(1000).startswith(b"HTTP/1.1 200")
        let_pass(2.0)  # workers have a coarse clock
    hello.machine.systemctl("restart", hello.service)

    # 14 places, 3 of them for listeners and 8 spare ones.
    for client in clients[:3]:
        assert client.recv(1000) == b"", "closed, and not reset"
    for client in clients[3:]:
        client.sendall(REQUEST)
        answer = client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(str(hello.worker_pid()).encode())
    assert hello.property("NFileDescriptorStore") == "1", "the state"


def test_a_stop_closes_them(hello: Instance) -> None:
    hello.configure("fastapi_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    with hello.machine.connect_tcp("127.0.0.1", hello.port) as client:
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        hello.stop()
        assert client.recv(1000) == b""
    assert hello.property("NFileDescriptorStore") == "0"


def test_without_a_store_they_are_closed_in_order(hello: Instance) -> None:
    hello.drop_in(hello.service, "[Service]\nFileDescriptorStoreMax=0\nUnsetEnvironment=FDSTORE\n")
    hello.configure("fastapi_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    with hello.machine.connect_tcp("127.0.0.1", hello.port) as client:
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        hello.machine.systemctl("restart", hello.service)
        assert client.recv(1000) == b""
    assert hello.get("/").status == 200
