"""The unit files themselves."""

from __future__ import annotations

import re

import pytest

from sdserve.core.fleet.options import FleetOptions
from tests.system.instance import UNITS, Instance
from tests.system.machine import Machine
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


MOST_EXPOSED = 1.5
"""Of 10, as `systemd-analyze security` counts."""


def test_systemd_has_nothing_to_say_against_them(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.listen()
    units = (hello.service, hello.sockets, hello.socket, "sdserve.target")
    result = hello.machine.run(
        "systemd-analyze", "verify", "--man=no", "--generators=yes", *units, check=False
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_nor_against_those_for_users(hello: Instance) -> None:
    units = [f"/usr/lib/systemd/user/{unit}" for unit in UNITS]
    as_user = ("env", "XDG_RUNTIME_DIR=/run", "systemd-analyze", "--user", "--man=no", "verify")
    result = hello.machine.run(*as_user, *units, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_little_is_left_to_harden(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    result = hello.machine.run("systemd-analyze", "security", "--no-pager", hello.service)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", result.stdout)
    assert found
    print(
        f"systemd-analyze security, systemd {hello.machine.run('systemctl', '--version').stdout.split()[1]}:",
        found[1],
    )

    assert float(found[1]) <= MOST_EXPOSED, result.stdout


def test_the_socket_units_start_without_a_warning(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.listen()

    assert hello.journal("--priority=warning", unit="sdserve@hello@*") == ""


def test_an_instance_is_enabled_with_its_sockets(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.machine.systemctl("enable", "--now", hello.service)

    assert hello.property("UnitFileState") == "enabled"
    assert hello.property("UnitFileState", unit=hello.sockets) == "enabled"
    assert "sdserve@hello@http.socket" in hello.property("TriggeredBy")
    assert hello.get("/").text == "flask"
    hello.machine.systemctl("disable", "--now", hello.service)
    assert hello.property("UnitFileState", unit=hello.sockets) == "disabled"


def test_an_instance_has_a_user_and_directories_of_its_own(hello: Instance) -> None:
    source = (
        "import os, pwd\n"
        "def app(environ, start_response):\n"
        "    for kind in ('RUNTIME', 'STATE', 'CACHE'):\n"
        "        open(os.environ[kind + '_DIRECTORY'] + '/written', 'w').close()\n"
        "    open('/tmp/written', 'w').close()\n"
        "    start_response('200 OK', [('content-type', 'text/plain')])\n"
        "    return [f'{os.getuid()} {pwd.getpwuid(os.getuid()).pw_name}'.encode()]\n"
    )
    hello.machine.write("/srv/own/own.py", source)
    hello.configure("own:app", directory="/srv/own")
    hello.listen()
    hello.start()

    number, name = hello.get("/").text.split()
    assert name == "sdserve-hello"
    assert int(number) > 1000
    assert hello.machine.path("/var/lib/private/sdserve/hello/written").stat().st_uid == int(number)
    assert not hello.machine.path("/tmp/written").exists()


def test_an_account_of_that_name_is_taken(hello: Instance) -> None:
    hello.machine.write(
        "/etc/sysusers.d/sdserve-hello.conf", 'u sdserve-hello 650 "hello" /var/lib/sdserve/hello\n'
    )
    hello.machine.run("systemd-sysusers")
    hello.configure("flask_probe:app")
    hello.listen()
    hello.start()

    owners = hello.machine.run("ps", "-o", "uid=", "-p", ",".join(map(str, hello.pids()))).stdout.split()
    assert set(owners) == {"650"}


def test_a_secret_comes_as_a_credential(hello: Instance) -> None:
    source = (
        "import os, pathlib\n"
        "SECRET = pathlib.Path(os.environ['CREDENTIALS_DIRECTORY'], 'database').read_text()\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('content-type', 'text/plain')])\n"
        "    return [SECRET.encode()]\n"
    )
    hello.machine.write("/srv/own/own.py", source)
    hello.machine.write("/etc/sdserve/hello.credentials/database", "p4ss", mode=0o600)
    hello.configure("own:app", directory="/srv/own")
    hello.drop_in(
        hello.service, "[Service]\nLoadCredential=database:/etc/sdserve/hello.credentials/database\n"
    )
    hello.listen()
    hello.start()
    assert hello.get("/").text == "p4ss"
    hello.machine.systemctl("reload", hello.service)
    assert hello.get("/").text == "p4ss"


def test_the_target_is_for_all_instances(machine: Machine) -> None:
    shop, blog = Instance(machine, "shop", port=8001), Instance(machine, "blog.example", port=8002)
    for instance in (shop, blog):
        instance.configure("flask_probe:app")
        instance.listen()
        machine.systemctl("enable", "--now", instance.service)
    before = {instance.main_pid() for instance in (shop, blog)}
    machine.systemctl("restart", "sdserve.target")
    for instance in (shop, blog):
        wait_for(lambda: instance.main_pid() not in {0, *before}, what="it was restarted")  # noqa: B023
        instance.wait_for_state("active")
        assert instance.get("/").text == "flask"

    machine.systemctl("stop", "sdserve.target")
    for instance in (shop, blog):
        instance.wait_for_state("inactive")
        wait_for(
            lambda: instance.property("ActiveState", unit=instance.socket) == "inactive",  # noqa: B023
            what="its socket is closed",
        )
        with pytest.raises(ConnectionRefusedError):
            instance.request("/")

    machine.systemctl("start", "sdserve.target")
    assert [instance.get("/").text for instance in (shop, blog)] == ["flask", "flask"]


def test_systemd_is_more_patient_than_sdserve(hello: Instance) -> None:
    boot_tries = 3
    options = FleetOptions()

    assert seconds(hello.property("TimeoutStopUSec")) > options.drain_timeout
    assert seconds(hello.property("TimeoutStartUSec")) > boot_tries * options.boot_timeout


def seconds(text: str) -> float:
    """Read a time as `systemctl show` prints it, `1min 30s`."""
    lengths = {"min": 60.0, "s": 1.0, "ms": 0.001}
    return sum(int(number) * lengths[unit] for number, unit in re.findall(r"(\d+)(min|ms|s)", text))
