"""systemd holds the sockets: what is started when, and where it answers."""

from __future__ import annotations

import json

import pytest

from tests.system.exchange import Answer, Exchange
from tests.system.instance import EXAMPLES, Instance
from tests.system.machine import Machine
from tests.system.pairs import one_each
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("example", "greeting"), [("hello", "Hello from Flask"), ("hello_asgi", "from FastAPI")]
)
def test_the_examples_answer_on_tcp_and_on_a_unix_socket(
    hello: Instance, example: str, greeting: str
) -> None:
    hello.configure_text(example_ini(example))
    hello.listen()
    hello.start()

    for answer in (hello.get("/"), hello.get_v6("/"), hello.get_unix("/")):
        assert answer.status == 200
        assert greeting in answer.text
    assert json.loads(hello.get("/hello/you").text) == {"greeting": "Hello, you!"}


@one_each("application", "flask_probe", "fastapi_probe")
def test_the_first_connection_starts_the_service(hello: Instance, application: str) -> None:
    hello.configure(f"{application}:app")
    hello.listen()
    assert hello.property("ActiveState") == "inactive"

    assert hello.get_unix("/").status == 200
    hello.wait_for_state("active")


def test_a_stopped_service_is_started_again_by_a_connection(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.listen()
    hello.start()
    hello.stop()

    assert hello.get("/") == Answer(200, "flask")


def test_two_instances_serve_side_by_side(machine: Machine) -> None:
    one = Instance(machine, "one", port=8001)
    # A dash in a name is a dash in the INI's name too, though systemd escapes slashes with it.
    other = Instance(machine, "the-other", port=8002)
    one.configure("flask_probe:app")
    other.configure("fastapi_probe:app")
    for instance in (one, other):
        instance.listen()
        instance.start()

    assert one.get("/").text == "flask"
    assert other.get("/").text == "fastapi"
    one.stop()
    assert other.get_unix("/").text == "fastapi"


def test_without_a_socket_unit_the_addresses_of_the_ini_are_bound(hello: Instance) -> None:
    hello.unix_path = "/run/sdserve/hello/own.sock"
    hello.configure("flask_probe:app", "[listen:local]", f"address = unix:{hello.unix_path}")
    hello.start()

    assert hello.get("/").text == "flask"
    assert hello.get_unix("/").text == "flask"


def test_each_listener_has_a_socket_unit(hello: Instance) -> None:
    hello.configure(
        "flask_probe:app", "[listen:admin]", "address = 127.0.0.1:8001", "[listen:x/y]", "address = [::1]:82"
    )
    hello.listen()
    hello.start()

    assert hello.get("/").text == "flask"
    assert Exchange(hello.machine.connect_tcp("127.0.0.1", 8001), "/").answer().text == "flask"
    assert Exchange(hello.machine.connect_tcp("::1", 82), "/").answer().text == "flask"


def test_a_socket_unit_of_ones_own_brings_a_second_name(machine: Machine) -> None:
    hello = Instance(machine)
    hello.configure("flask_probe:app", "[listen:admin]")
    machine.write(
        "/etc/systemd/system/hello-admin.socket",
        f"[Socket]\nListenStream=127.0.0.1:8001\nFileDescriptorName=admin\nService={hello.service}\n",
    )
    hello.drop_in(hello.service, "[Service]\nSockets=hello-admin.socket\n")
    hello.listen()
    hello.start()

    assert hello.get("/").text == "flask"
    assert Exchange(machine.connect_tcp("127.0.0.1", 8001), "/").answer().text == "flask"


def test_the_sockets_alone_can_be_enabled(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.machine.systemctl("enable", "--now", hello.sockets)
    assert hello.property("ActiveState") == "inactive"

    assert hello.get("/").text == "flask"


def test_a_unix_socket_has_the_rights_of_the_ini_and_is_removed(hello: Instance) -> None:
    hello.unix_path = "/run/sdserve/hello.sock"
    listen = [
        "[listen:local]",
        f"address = {hello.unix_path}",
        "mode = 0620",
        "owner = daemon",
        "group = www-data",
    ]
    hello.configure("flask_probe:app", *listen)
    hello.machine.systemctl("enable", "--now", hello.service)

    assert hello.get_unix("/").text == "flask"
    rights = hello.machine.run("stat", "--format=%a %U %G", hello.unix_path).stdout.split()
    assert rights == ["620", "daemon", "www-data"]
    hello.machine.systemctl("stop", hello.service, hello.sockets)
    wait_for(lambda: not hello.machine.path(hello.unix_path).exists(), what="its file is gone")


def test_an_unprivileged_user_serves_a_privileged_port(machine: Machine) -> None:
    hello = Instance(machine, port=80)
    hello.configure("flask_probe:app")
    hello.drop_in(hello.service, "[Service]\nUser=daemon\n")
    hello.listen()
    hello.start()

    assert hello.get("/").text == "flask"
    owners = machine.run("ps", "-o", "user=", "-p", ",".join(map(str, hello.pids()))).stdout.split()
    assert set(owners) == {"daemon"}
    assert machine.path("/run/sdserve/hello").is_dir()


def example_ini(name: str) -> str:
    """Return an example's INI as an administrator installs it: with the application's folder written out."""
    text = (EXAMPLES / f"{name}.ini").read_text()
    assert "directory = .\n" in text
    return text.replace("directory = .\n", "directory = /srv/examples\n")
