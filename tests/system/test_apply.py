"""What an administrator does from a new INI to a changed one: init, check, apply."""

from __future__ import annotations

import pytest

from tests.system.exchange import Exchange
from tests.system.instance import Instance
from tests.system.machine import MachineError

pytestmark = pytest.mark.system


def init(hello: Instance, *arguments: str) -> str:
    command = ("sdserve", "init", hello.name, "--app", "flask_probe:app", "--directory", "/srv/applications")
    return hello.machine.run(*command, *arguments).stdout


def test_one_command_writes_what_another_one_starts(hello: Instance) -> None:
    said = init(hello, "--listen", "8000")
    assert said.splitlines()[-1] == "Next: systemctl enable --now sdserve@hello"
    hello.machine.systemctl("enable", "--now", "sdserve@hello")

    assert hello.get("/").text == "flask"


def test_a_changed_address_is_applied_by_one_command(hello: Instance) -> None:
    init(hello, "--listen", "8000", "--listen", "/run/sdserve/hello.sock")
    hello.machine.systemctl("enable", "--now", hello.service)
    ini = hello.machine.path("/etc/sdserve/hello.ini")
    ini.write_text(ini.read_text().replace("127.0.0.1:8000", "127.0.0.1:8005").replace("0660", "0666"))
    # Somebody has done this already, so systemd has lost the old socket.
    hello.machine.systemctl("daemon-reload")

    with pytest.raises(MachineError, match="add --yes to go on"):
        hello.machine.run("sdserve", "apply", "hello")
    said = hello.machine.run("sdserve", "apply", "hello", "--yes").stdout
    assert "hello: [listen:http] no longer at 127.0.0.1:8000" in said
    assert "hello: [listen:http] at 127.0.0.1:8005" in said
    with pytest.raises(ConnectionRefusedError):
        hello.machine.connect_tcp("127.0.0.1", 8000)
    hello.port = 8005
    assert hello.get("/").text == "flask"
    hello.unix_path = "/run/sdserve/hello.sock"
    assert hello.get_unix("/").text == "flask"
    assert hello.machine.path(hello.unix_path).stat().st_mode & 0o777 == 0o666
    assert "nothing is interrupted" in hello.machine.run("sdserve", "apply", "hello").stdout


def test_a_listener_that_is_gone_is_closed_and_a_new_one_is_open(hello: Instance) -> None:
    hello.configure("flask_probe:app", "[listen:admin]", "address = 127.0.0.1:8001")
    hello.machine.systemctl("enable", "--now", hello.service)
    hello.configure("flask_probe:app", "[listen:other]", "address = 127.0.0.1:8002")
    hello.machine.run("sdserve", "apply", "hello", "--yes")

    assert Exchange(hello.machine.connect_tcp("127.0.0.1", 8002), "/").answer().text == "flask"
    with pytest.raises(ConnectionRefusedError):
        hello.machine.connect_tcp("127.0.0.1", 8001)


def test_a_mistake_is_found_before_anything_is_interrupted(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.machine.systemctl("enable", "--now", hello.service)
    pid = hello.main_pid()
    hello.configure("flask_probe:app", "[listen:admin]", "address = nowhere")
    with pytest.raises(MachineError, match="exited with 78"):
        hello.machine.run("sdserve", "apply", "hello", "--yes")

    assert hello.main_pid() == pid
    assert hello.get("/").text == "flask"


def test_the_rights_of_a_socket_are_tried_as_the_proxy(hello: Instance) -> None:
    init(hello, "--listen", "/run/sdserve/hello.sock", "--proxy-user", "www-data")
    hello.machine.systemctl("enable", "--now", hello.service)
    check = ("sdserve", "check", "hello", "--proxy-user")
    assert "www-data can connect" in hello.machine.run(*check, "www-data").stdout
    with pytest.raises(MachineError, match="daemon may not write to /run/sdserve/hello"):
        hello.machine.run(*check, "daemon")


def test_a_user_has_instances_too(hello: Instance) -> None:
    machine = hello.machine
    machine.run("useradd", "--create-home", "--uid=1000", "somebody")
    # What pam_systemd would do, which is not in this tree.
    settings = "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n"
    machine.write("/etc/systemd/system/user@.service.d/runtime.conf", settings)
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "user@1000.service")
    runtime = ("XDG_RUNTIME_DIR=/run/user/1000", "HOME=/home/somebody", "USER=somebody")
    as_somebody = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", *runtime)

    def run(*command: str) -> str:
        return machine.run(*as_somebody, *command).stdout

    init = ("sdserve", "init", "hello", "--user", "--app", "flask_probe:app", "--listen", "8000")
    run(*init, "--listen", "/run/user/1000/hello.sock", "--directory", "/srv/applications")
    run("systemctl", "--user", "enable", "--now", "sdserve@hello")
    assert hello.get("/").text == "flask"
    hello.unix_path = "/run/user/1000/hello.sock"
    assert hello.get_unix("/").text == "flask"
    assert "Serving" in run("sdserve", "status", "hello")
    run("systemctl", "--user", "reload", "sdserve@hello")
    run("systemctl", "--user", "stop", "sdserve@hello")
    assert hello.get("/").text == "flask", "its socket has started it again"
    ini = machine.path("/home/somebody/.config/sdserve/hello.ini")
    ini.write_text(ini.read_text().replace(":8000", ":8005"))
    assert "at 127.0.0.1:8005" in run("sdserve", "apply", "--user", "hello", "--yes")
    hello.port = 8005
    assert hello.get("/").text == "flask"
