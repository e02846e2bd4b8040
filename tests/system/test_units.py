"""The unit files themselves."""

from __future__ import annotations

import re

import pytest

from sdserve.core.fleet.options import FleetOptions
from tests.system.instance import Instance

pytestmark = pytest.mark.system


def test_systemd_has_nothing_to_say_against_them(hello: Instance) -> None:
    hello.listen()
    result = hello.machine.run("systemd-analyze", "verify", hello.service, hello.socket, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_socket_unit_starts_without_a_warning(hello: Instance) -> None:
    hello.listen()

    assert hello.journal("--priority=warning", unit=hello.socket) == ""


def test_an_instance_is_enabled_with_its_socket(hello: Instance) -> None:
    hello.listen()
    hello.machine.systemctl("enable", hello.service)

    assert hello.property("UnitFileState") == "enabled"
    assert hello.property("UnitFileState", unit=hello.socket) == "enabled"


def test_systemd_is_more_patient_than_sdserve(hello: Instance) -> None:
    boot_tries = 3
    options = FleetOptions()

    assert seconds(hello.property("TimeoutStopUSec")) > options.drain_timeout
    assert seconds(hello.property("TimeoutStartUSec")) > boot_tries * options.boot_timeout


def test_an_instance_can_be_hardened_further(hello: Instance) -> None:
    # Without a user of its own, without capabilities, and seeing next to nothing of the machine.
    hello.drop_in(
        hello.service,
        """[Service]
        DynamicUser=yes
        ProtectSystem=strict
        ProtectHome=yes
        ProtectProc=invisible
        ProcSubset=pid
        PrivateDevices=yes
        PrivateUsers=yes
        CapabilityBoundingSet=
        MemoryDenyWriteExecute=yes
        RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
        RestrictNamespaces=yes
        SystemCallFilter=@system-service
        SystemCallFilter=~@privileged @resources
        SystemCallErrorNumber=EPERM
        """,
    )
    hello.configure("fastapi_probe:app", "[workers]", "count = 2")
    hello.listen()
    hello.start()

    assert hello.get("/").text == "fastapi"
    hello.stop()
    assert hello.property("Result") == "success"


def seconds(text: str) -> float:
    """Read a time as `systemctl show` prints it, `1min 30s`."""
    lengths = {"min": 60.0, "s": 1.0, "ms": 0.001}
    return sum(int(number) * lengths[unit] for number, unit in re.findall(r"(\d+)(min|ms|s)", text))
