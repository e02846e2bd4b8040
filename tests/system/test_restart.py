"""`systemctl restart` under load: the socket stays, and connections wait instead of being refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.instance import Instance
from tests.system.pairs import one_each
from tests.system.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.system

CLIENTS = 3
RESTARTS = 3


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_a_restart_loses_no_request(hello: Instance, application: str) -> None:
    hello.configure(application, "[workers]", "count = 2")
    hello.listen()
    hello.start()
    answered = threading.Semaphore(0)
    done = threading.Event()

    def client() -> None:
        while not done.is_set():
            assert hello.get("/").status == 200
            answered.release()

    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [threads.submit(client) for _ in range(CLIENTS)]
        try:
            for _ in range(RESTARTS):
                assert answered.acquire(timeout=PATIENCE_SECONDS)
                hello.machine.systemctl("restart", hello.service)
        finally:
            done.set()

    for each in clients:
        each.result()
