"""`systemctl reload` and the commands to a running instance, under a real systemd."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.system.instance import Instance
from tests.system.machine import MachineError
from tests.system.releases import Release
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system

CODE = "/srv/shop/shop.py"
GOOD = "import os\nfrom flask_probe import app\n@app.get('/release')\ndef release():\n    return '{}'\n"
LIFESPAN = """\
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})
"""
CONTROL = "unix:/run/sdserve/hello/control"


def release(shop: Instance, source: str) -> None:
    """Put code in place of what was there."""
    shop.machine.write(CODE, source)


def configure(shop: Instance, *lines: str, directory: str = "/srv/shop", boot_timeout: str = "20s") -> None:
    shop.configure(
        "shop:app",
        "[environment]",
        "PYTHONPATH = /srv/applications",
        "PYTHONDONTWRITEBYTECODE = 1",
        "[workers]",
        "count = 2",
        f"boot_timeout = {boot_timeout}",
        *lines,
        directory=directory,
    )


@pytest.fixture
def shop(hello: Instance) -> Instance:
    """An instance with two workers that serves its first release."""
    release(hello, GOOD.format("one"))
    configure(hello)
    hello.listen()
    hello.start()
    return hello


def command(shop: Instance, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run sdserve as root, as an administrator does."""
    return shop.machine.run("sdserve", *arguments, check=False)


def status(shop: Instance) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(command(shop, "status", shop.name, "--json").stdout)
    return answer


def workers(shop: Instance) -> set[int]:
    return {worker["pid"] for worker in status(shop)["workers"] if worker["state"] == "ready"}


def test_a_reload_runs_the_new_code_and_returns_when_it_does(shop: Instance) -> None:
    before, main = workers(shop), shop.main_pid()
    release(shop, GOOD.format("two"))
    shop.machine.systemctl("reload", shop.service)

    assert shop.get("/release").text == "two"
    assert shop.main_pid() == main
    assert not before & workers(shop)
    wait_for(lambda: shop.property("ActiveState") == "active", what="the reload is over for systemd, too")
    assert shop.property("StatusText") == "Serving, 2 of 2 workers ready, generation 2"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import module_that_nobody_has_installed\n", "No module named 'module_that_nobody_has_installed'"),
        (LIFESPAN, "the database is away"),
        ("import time\ntime.sleep(60)\n", "not ready within 1.5 s"),
        ("import os\nos._exit(7)\n", "exit code 7"),
    ],
    ids=["import", "lifespan", "boot_timeout", "exit"],
)
def test_code_that_does_not_start_fails_the_reload_and_changes_nothing(
    shop: Instance, source: str, reason: str
) -> None:
    before = workers(shop)
    release(shop, source)
    configure(shop, boot_timeout="1500ms")
    assert_reload_fails(shop, before, reason)


def test_a_wrong_ini_fails_the_reload_and_changes_nothing(shop: Instance) -> None:
    before = workers(shop)
    configure(shop, "cuont = 2")
    assert_reload_fails(shop, before, "[workers] cuont: unknown option, did you mean count?")


def test_a_missing_directory_fails_the_reload_and_changes_nothing(shop: Instance) -> None:
    before = workers(shop)
    configure(shop, directory="/srv/gone")
    assert_reload_fails(shop, before, "directory: /srv/gone does not exist")


def assert_reload_fails(shop: Instance, before: set[int], reason: str) -> None:
    with pytest.raises(MachineError):
        shop.machine.systemctl("reload", shop.service)
    assert shop.property("ActiveState") == "active"
    assert shop.property("ReloadResult") == "exit-code"
    assert reason in shop.journal()

    failed = command(shop, "reload", shop.name)
    assert failed.returncode == 1
    assert reason in failed.stderr
    assert workers(shop) == before
    assert shop.get("/release").text == "one"
    wait_for(lambda: shop.property("ActiveState") == "active", what="the reload is over for systemd, too")

    configure(shop)
    release(shop, GOOD.format("three"))
    shop.machine.systemctl("reload", shop.service)
    assert shop.get("/release").text == "three"


def test_signals_reload_and_scale(shop: Instance) -> None:
    release(shop, GOOD.format("two"))
    shop.machine.systemctl("kill", "--kill-who=main", "--signal=HUP", shop.service)
    wait_for(lambda: status(shop)["last_reload"], what="the reload is over")
    assert shop.get("/release").text == "two"
    shop.machine.systemctl("kill", "--kill-who=main", "--signal=TTIN", shop.service)
    wait_for(lambda: len(workers(shop)) == 3, what="there is one worker more")
    shop.machine.systemctl("kill", "--kill-who=main", "--signal=TTOU", shop.service)
    wait_for(lambda: len(workers(shop)) == 2, what="there is one worker less")


def test_scaling_returns_when_there_are_that_many(shop: Instance) -> None:
    assert command(shop, "scale", "hello", "4").returncode == 0
    assert len(workers(shop)) == 4
    assert command(shop, "scale", "hello", "1").returncode == 0
    assert len(workers(shop)) == 1


def test_the_user_of_the_service_may_do_everything_and_another_one_nothing(hello: Instance) -> None:
    release(hello, GOOD.format("one"))
    configure(hello)
    hello.drop_in(hello.service, "[Service]\nUser=daemon\n")
    hello.listen()
    hello.start()
    release(hello, GOOD.format("two"))
    hello.machine.systemctl("reload", hello.service)  # which runs as daemon
    assert hello.get("/release").text == "two"

    assert command(hello, "status", "hello").returncode == 0
    as_user = ["setpriv", "--clear-groups", "--regid=65534"]
    own = hello.machine.run(*as_user, "--reuid=daemon", "sdserve", "status", "hello", check=False)
    assert own.returncode == 0
    other = hello.machine.run(*as_user, "--reuid=65534", "sdserve", "reload", "hello", check=False)
    assert other.returncode == 77
    assert "takes orders only from root and the user that it runs as" in other.stderr


def test_an_instance_that_does_not_run_is_told_from_one_that_refuses(shop: Instance) -> None:
    shop.stop()
    gone = command(shop, "reload", "hello")
    assert gone.returncode == 69
    assert "hello is not running" in gone.stderr
    with pytest.raises(MachineError):
        shop.machine.systemctl("reload", shop.service)


def test_varlinkctl_understands_the_control_socket(shop: Instance, release: Release) -> None:
    if release.systemd < 255:
        pytest.skip("this systemd has no varlinkctl")

    def varlinkctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return shop.machine.run("varlinkctl", *arguments, check=False)

    assert "io.sdserve" in varlinkctl("list-interfaces", CONTROL).stdout.split()
    assert "Product: sdserve" in varlinkctl("info", CONTROL).stdout
    for interface in ("io.sdserve", "org.varlink.service"):
        introspected = varlinkctl("introspect", CONTROL, interface)
        assert introspected.returncode == 0, introspected.stderr
        assert f"interface {interface}" in introspected.stdout

    assert varlinkctl("call", CONTROL, "io.sdserve.Scale", '{"count": 3}').returncode == 0
    told = varlinkctl("call", "--json=short", CONTROL, "io.sdserve.Status", "{}")
    assert json.loads(told.stdout)["status"]["slots"] == 3
    done = varlinkctl("call", "--json=short", CONTROL, "io.sdserve.Reload", "{}")
    assert json.loads(done.stdout)["message"] == "generation 2 serves with 2 workers"
    wrong = varlinkctl("call", CONTROL, "io.sdserve.Scale", '{"count": 0}')
    assert wrong.returncode != 0
    assert "org.varlink.service.InvalidParameter" in wrong.stderr
