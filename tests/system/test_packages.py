"""The Debian package: what an administrator does with it, from the installation to the purge."""

from __future__ import annotations

import pytest

from tests.system.conftest import NEW, OLD
from tests.system.exchange import Exchange
from tests.system.instance import Instance
from tests.system.machine import Machine
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system

APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--no-install-recommends")
NGINX = """
server { listen 127.0.0.1:8080; location / { proxy_pass http://unix:/run/sdserve/shop.sock; } }
server { listen 127.0.0.1:8081; location / { proxy_pass http://127.0.0.1:8001; } }
"""


def install(machine: Machine, version: str) -> str:
    result = machine.run(*APT, "--allow-downgrades", "install", f"/packages/sdserve_{version}_all.deb")
    return result.stdout + result.stderr


def version(machine: Machine) -> str:
    return machine.run("sdserve", "--version").stdout.split()[1]


def init(machine: Machine, name: str, *listen: str) -> Instance:
    command = ("sdserve", "init", name, "--app", "flask_probe:app", "--directory", "/srv/applications")
    machine.run(*command, *(word for address in listen for word in ("--listen", address)))
    machine.systemctl("enable", "--now", f"sdserve@{name}")
    return Instance(machine, name)


def get(machine: Machine, port: int) -> str:
    return Exchange(machine.connect_tcp("127.0.0.1", port), "/").answer().text


def user_of(instance: Instance) -> str:
    return instance.machine.run("ps", "-o", "user:40=", "-p", str(instance.main_pid())).stdout.strip()


def test_installed_it_serves_behind_nginx_as_two_users_and_comes_back_after_a_reboot(bare: Machine) -> None:
    install(bare, OLD)
    shop = init(bare, "shop", "/run/sdserve/shop.sock")
    blog = init(bare, "blog", "8001")
    bare.write("/etc/nginx/conf.d/sdserve.conf", NGINX)
    bare.systemctl("enable", "--now", "nginx")

    assert [get(bare, port) for port in (8080, 8081)] == ["flask", "flask"]
    assert (user_of(shop), user_of(blog)) == ("sdserve-shop", "sdserve-blog")
    assert "www-data can connect" in bare.run("sdserve", "check", "shop", "--proxy-user", "www-data").stdout

    bare.reboot()
    assert [get(bare, port) for port in (8080, 8081)] == ["flask", "flask"]
    assert (user_of(shop), user_of(blog)) == ("sdserve-shop", "sdserve-blog")
    assert shop.property("TriggeredBy") == "sdserve@shop@http.socket"


def test_after_a_reboot_sockets_that_are_enabled_alone_start_the_service(bare: Machine) -> None:
    install(bare, OLD)
    shop = init(bare, "shop", "8000")
    bare.systemctl("disable", "--now", shop.service)
    bare.systemctl("enable", shop.sockets)
    bare.reboot()

    assert shop.property("ActiveState") == "inactive"
    assert shop.get("/").text == "flask"


def test_an_upgrade_and_a_downgrade_restart_nothing_and_keep_what_was_configured(bare: Machine) -> None:
    install(bare, OLD)
    shop = init(bare, "shop", "8000")
    defaults = bare.path("/etc/sdserve/sdserve.ini")
    defaults.write_text("[log]\naccess = yes\n")
    pid = shop.main_pid()
    for new in (NEW, OLD):
        said = install(bare, new)
        assert version(bare) == new
        assert shop.main_pid() == pid, said
        assert shop.get("/").text == "flask"
        bare.systemctl("reload", shop.service)
        assert shop.get("/").text == "flask"
    assert defaults.read_text() == "[log]\naccess = yes\n"
    bare.systemctl("restart", shop.service)
    assert shop.get("/").text == "flask"


def test_an_upgrade_starts_nothing_that_was_stopped(bare: Machine) -> None:
    install(bare, OLD)
    shop = init(bare, "shop", "8000")
    bare.systemctl("stop", shop.service, shop.sockets)
    install(bare, NEW)
    assert shop.property("ActiveState") == "inactive"
    assert shop.property("ActiveState", unit=shop.socket) == "inactive"


def test_a_removal_stops_all_and_another_installation_brings_it_back(bare: Machine) -> None:
    install(bare, OLD)
    shop = init(bare, "shop", "8000", "/run/sdserve/shop.sock")
    bare.run(*APT, "remove", "sdserve")

    assert bare.systemctl("list-units", "--no-legend", "--plain", "sdserve*@*") == ""
    assert bare.run("pgrep", "--full", "sdserve", check=False).stdout == ""
    with pytest.raises(ConnectionRefusedError):
        shop.request("/")
    install(bare, OLD)
    bare.systemctl("start", "sdserve.target")
    wait_for(lambda: shop.property("ActiveState") == "active", what="what was enabled is started")
    assert shop.get("/").text == "flask"


def test_a_purge_leaves_what_is_the_administrators_and_nothing_else(bare: Machine) -> None:
    before = bare.systemctl("is-system-running")
    install(bare, OLD)
    init(bare, "shop", "8000", "/run/sdserve/shop.sock")
    blog = init(bare, "blog.example", "8001")
    blog.machine.write("/var/lib/private/sdserve/blog.example/precious", "of the application")
    bare.run(*APT, "purge", "sdserve")

    left = bare.run("find", "/", "-xdev", "-name", "*sdserve*", "-not", "-path", "/packages/*").stdout.split()
    assert sorted(left) == ["/etc/sdserve", "/var/lib/private/sdserve", "/var/lib/sdserve"]
    assert sorted(path.name for path in bare.path("/etc/sdserve").iterdir()) == [
        "blog.example.ini",
        "shop.ini",
    ]
    assert [path.name for path in bare.path("/var/lib/private/sdserve").iterdir()] == ["blog.example"]
    assert bare.run("find", "/run", "-name", "*sdserve*").stdout == ""
    assert bare.systemctl("is-system-running") == before
    bare.systemctl("daemon-reload")


def test_the_package_brings_manual_completion_and_catalog(bare: Machine) -> None:
    install(bare, OLD)
    assert "No sockets for sdserve instance" in bare.run("journalctl", "--list-catalog").stdout
    bare.write("/etc/sdserve/bad.ini", "[listen:http]\nadress = x\n")
    bare.systemctl("daemon-reload")
    explained = bare.run("journalctl", "--no-pager", "--catalog", "--unit=sdserve@bad.service").stdout
    assert "Subject: No sockets for sdserve instance bad" in explained
    shop = init(bare, "shop", "8000")
    shop.kill(shop.worker_pid())
    wait_for(
        lambda: (
            "Subject: A worker of sdserve@shop.service was lost"
            in shop.journal("--output=short", "--catalog")
        ),
        what="what has happened is explained",
    )
    assert bare.path("/usr/share/bash-completion/completions/sdserve").exists()
