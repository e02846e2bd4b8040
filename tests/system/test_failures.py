"""What cannot work: an operator finds out why, and the service comes back once it is mended."""

from __future__ import annotations

import pytest

from tests.system.instance import Instance
from tests.system.machine import Machine, MachineError
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


def test_an_application_that_cannot_be_imported_is_explained(hello: Instance) -> None:
    hello.configure("broken_import:app")
    hello.drop_in(hello.service, "[Service]\nRestart=no\n")  # the next try would hide the status of this one
    hello.listen()
    with pytest.raises(MachineError):
        hello.start()

    assert hello.property("ActiveState") == "failed"
    assert hello.property("ExecMainStatus") == "3"
    journal = hello.journal()
    assert 'File "/srv/applications/broken_import.py", line 3' in journal
    assert "No module named 'module_that_nobody_has_installed'" in journal


def test_a_client_that_waits_is_served_once_the_application_is_mended(hello: Instance) -> None:
    hello.machine.write("/srv/mended/mended.py", "import module_that_nobody_has_installed\n")
    hello.configure("mended:app", "[environment]", "PYTHONPATH = /srv/applications", directory="/srv/mended")
    hello.listen()
    waiting = hello.request("/")
    wait_for(lambda: hello.property("ExecMainStatus") == "3", what="the service has failed once")
    hello.machine.write("/srv/mended/mended.py", "from flask_probe import app\n")

    assert waiting.answer().text == "flask"


def test_a_wrong_ini_names_file_and_line_and_is_not_tried_again(hello: Instance) -> None:
    hello.configure("flask_probe:app", "[workers]", "cuont = 2")
    hello.listen()
    with pytest.raises(MachineError):
        hello.start()

    assert hello.property("ActiveState") == "failed", "and not activating: nothing is scheduled"
    assert hello.property("ExecMainStatus") == "78"
    assert "/etc/sdserve/hello.ini:7: [workers] cuont" in hello.journal("--priority=err")


def test_a_wrong_ini_does_not_loop_for_a_client_that_waits_and_one_start_brings_all_back(
    hello: Instance,
) -> None:
    hello.configure("flask_probe:app", "[workers]", "cuont = 2")
    hello.listen()
    refused = hello.request("/")
    with pytest.raises(ConnectionError):
        refused.answer()
    assert hello.property("Result", unit=hello.socket) == "trigger-limit-hit"

    hello.configure("flask_probe:app", "[workers]", "count = 2")
    hello.start()
    assert hello.get("/").text == "flask"


def test_a_missing_ini_is_named(hello: Instance) -> None:
    with pytest.raises(MachineError):
        hello.start()

    assert hello.property("ExecMainStatus") == "78"
    assert "/etc/sdserve/hello.ini" in hello.journal("--priority=err")


def test_a_mistake_in_one_ini_is_in_the_journal_and_spoils_no_other(machine: Machine) -> None:
    good, bad = Instance(machine, "good", port=8001), Instance(machine, "bad", port=8002)
    good.configure("flask_probe:app")
    bad.configure_text("[app]\napplication = flask_probe:app\n[listen:http]\nadress = 127.0.0.1:8002\n")
    good.listen()

    assert good.get("/").text == "flask"
    mistake = "/etc/sdserve/bad.ini:4: [listen:http] adress: unknown option, did you mean address?"
    assert f"{mistake}; it has no sockets" in bad.journal("--priority=err")
    with pytest.raises(MachineError):
        bad.start()
    assert bad.property("ExecMainStatus") == "78"


def test_a_mistake_elsewhere_leaves_the_sockets(hello: Instance) -> None:
    hello.configure("flask_probe:app")
    hello.listen()
    hello.start()
    hello.configure("flask_probe:app", "[workers]", "cuont = 2")
    hello.machine.systemctl("daemon-reload")
    hello.configure("flask_probe:app")
    hello.machine.systemctl("restart", hello.service)

    assert hello.get("/").text == "flask"
    assert "no open socket" not in hello.journal(unit=hello.socket)
