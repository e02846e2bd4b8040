"""SIGKILL to the supervisor: its sockets stay, its workers finish what they have, the next one goes on."""

from __future__ import annotations

import random
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.deployment import ASGI, WSGI_4, Deployment, Flavour
from tests.system.gates import Gate
from tests.system.instance import Instance
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.waiting import let_pass, wait_for

pytestmark = pytest.mark.system

CONTROL_REQUESTS = 300
KILLS = 20
QUICKLY = "[Service]\nRestartSec=50ms\n"


@pytest.mark.alone
@one_each("flavour", WSGI_4, ASGI)
def test_a_supervisor_killed_again_and_again_fails_no_request(machine: Machine, flavour: Flavour) -> None:
    shop = Deployment(machine, flavour)
    machine.write(f"/etc/systemd/system/{shop.instance.service}.d/20-quickly.conf", QUICKLY)
    machine.systemctl("daemon-reload")
    chance = random.Random(flavour.name)

    def meanwhile(kill: int) -> subprocess.CompletedProcess[str] | None:
        """What is under way when it dies: nothing, a reload, or an upgrade."""
        command = ("", "reload", "upgrade")[kill % 3]
        if not command:
            return None
        return machine.run("sdserve", command, shop.instance.name, check=False)

    with ThreadPoolExecutor(1) as threads, shop.load(kept=False) as load:
        load.wait_for_requests(CONTROL_REQUESTS)
        for kill in range(KILLS):
            victim = shop.instance.main_pid()
            going_on = threads.submit(meanwhile, kill)
            let_pass(chance.uniform(0.0, 0.5))
            shop.instance.kill(victim)
            going_on.result(timeout=60)
            wait_until_restarted(shop.instance, victim)
            shop.instance.wait_for_state("active")
            load.wait_until_settled()  # who waited through it; else it is overload that is tested
        load.wait_for_requests(CONTROL_REQUESTS)
        report = load.stop()
    assert not report.failed, report.faults()
    assert shop.instance.property("NRestarts") == str(KILLS)
    shop.wait_until_settled(2)
    wait_for(
        lambda: len(shop.instance.pids()) == 4, what="the supervisor, a zygote, two workers and nobody else"
    )


@one_each("application", "flask_probe:app", "fastapi_probe:app")
def test_a_request_in_flight_is_answered_and_others_do_not_wait_for_it(
    hello: Instance, application: str
) -> None:
    hello.drop_in(hello.service, QUICKLY)
    hello.configure(application, "[workers]", "count = 1", "threads = 2")
    hello.listen()
    hello.start()
    gate = Gate(hello.machine, "/run/gate")
    worker = hello.worker_pid()
    pending = hello.request("/gate")
    with gate.held():
        hello.kill(hello.main_pid())
        # It may accept one more before it knows.
        wait_for(lambda: hello.worker_pid() != worker, what="the old one accepts nothing any more")
        assert worker in hello.processes()
    assert pending.answer().status == 200
    wait_for(lambda: worker not in hello.processes(), what="the old worker has ended")


def test_a_worker_that_outlives_its_time_is_ended_by_the_next_supervisor(hello: Instance) -> None:
    hello.drop_in(hello.service, QUICKLY)
    hello.configure("flask_probe:app", "[workers]", "count = 1", "drain_timeout = 100ms")
    hello.listen()
    hello.start()
    worker = hello.worker_pid()
    hello.machine.run("kill", "-STOP", str(worker))
    hello.kill(hello.main_pid())
    assert hello.worker_pid() != worker
    wait_for(lambda: worker not in hello.processes(), what="the old worker was killed")
    assert "has not ended, killing it" in hello.journal()


@pytest.mark.parametrize("place", ["127.0.0.1:8000", "unix:/run/sdserve/hello/web.sock"])
def test_sockets_of_our_own_outlive_the_supervisor(hello: Instance, place: str) -> None:
    hello.drop_in(hello.service, f"{QUICKLY}RuntimeDirectoryPreserve=restart\n")
    app = "[app]\napplication = flask_probe:app\ndirectory = /srv/applications\n"
    hello.configure_text(f"{app}[listen:http]\naddress = {place}\n")
    hello.start()  # without a daemon-reload, so there are no socket units yet

    def connect() -> socket.socket:
        if place.startswith("unix:"):
            return hello.machine.connect_unix(place.removeprefix("unix:"))
        return hello.machine.connect_tcp("127.0.0.1", 8000)

    for order in ("kill", "kill", "restart"):
        victim = hello.main_pid()
        if order == "kill":
            hello.kill(victim)
        else:
            hello.machine.systemctl("restart", hello.service)
        with connect() as client:  # never refused: the socket is there all the time
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        wait_until_restarted(hello, victim)
    assert "in use" not in hello.journal()
    assert hello.property("NFileDescriptorStore") == "2", "the listener and the state"

    # Another address: the old one is let go.
    hello.configure("flask_probe:app")
    hello.machine.systemctl("restart", hello.service)
    assert hello.get("/").status == 200
    assert hello.property("NFileDescriptorStore") == "2"


def wait_until_restarted(instance: Instance, victim: int) -> None:
    wait_for(lambda: instance.main_pid() not in (0, victim), what="another supervisor was started")
