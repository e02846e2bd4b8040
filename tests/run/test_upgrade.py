"""Upgrades in place: sdserve's own files are replaced while it serves, and it goes on as what is there then.

The server runs from a copy of the package, so that a test can change it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sdserve
from sdserve import __version__
from tests.run.conftest import SOURCE, ask, configure, pids
from tests.run.installed import PYTHON, Load, descriptors, everybody, other_python, process_status, went_on
from tests.serving import TIMEOUT, descendants, wait_until


@pytest.fixture
def shop(started):
    with started() as server:
        yield server


# What an upgrade is


def test_it_goes_on_under_its_pid_as_what_is_installed_now_and_serves_all_the_time(
    shop, installed, command, status
):
    before = status()
    installed.become("99.0")
    with Load(shop):
        assert command("upgrade", "shop") == (
            0,
            [
                "generation 2 serves with 2 workers",
                f"sdserve {__version__} on {PYTHON} was replaced by sdserve 99.0 on {PYTHON}",
            ],
        )
    after = status()
    assert (before["version"], after["version"]) == (__version__, "99.0")
    assert before["pid"] == after["pid"] == shop.process.pid
    assert pids(before).isdisjoint(pids(after))
    assert after["age"] >= before["age"]
    [generation] = [one for one in after["generations"] if one["role"] == "current"]
    assert (generation["number"], generation["opened_for"]) == (2, "upgrade")
    assert after["last_reload"]["ok"]
    wait_until(lambda: shop.notifications.status == "Serving, 2 of 2 workers ready, generation 2")
    words = [word for word, _ in shop.notifications.messages if word in ("READY", "RELOADING")]
    assert words == ["READY", "RELOADING", "READY"]
    assert "STOPPING" not in dict(shop.notifications.messages)
    assert f"sdserve 99.0 on {PYTHON} goes on in place of sdserve {__version__}" in shop.stderr()
    assert "Traceback" not in shop.stderr()


def test_sigusr2_upgrades_whether_anything_has_changed_or_not(shop, status):
    shop.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: went_on(shop) and status()["last_reload"])
    assert status()["last_reload"]["ok"]
    assert f"sdserve {__version__} on {PYTHON} goes on in place" in shop.stderr()


def test_a_reload_that_finds_other_files_says_so_and_upgrades(shop, installed, release, command, status):
    release("two")
    assert command("reload", "shop") == (0, ["generation 2 serves with 2 workers"])
    assert not went_on(shop)
    installed.become("99.0")
    hint = f"sdserve itself has changed (sdserve 99.0 on {PYTHON} is there now), upgrade or reload to use it"
    assert f"  {hint}" in command("status", "shop")[1]
    with Load(shop):
        code, lines = command("reload", "shop")
    assert code == 0
    assert lines[1:] == [f"sdserve {__version__} on {PYTHON} was replaced by sdserve 99.0 on {PYTHON}"]
    assert f"sdserve itself has changed, so it is upgraded: sdserve 99.0 on {PYTHON}" in shop.stderr()
    assert status()["version"] == "99.0"
    assert hint not in "\n".join(command("status", "shop")[1])


def test_an_upgrade_is_a_reload_as_well(shop, release, command, tmp_path):
    release("two")
    configure(tmp_path, "[environment]", "COLOUR = blue")
    assert command("upgrade", "shop")[0] == 0
    about = ask(shop)
    assert about["release"] == "two"
    assert b"COLOUR=blue" in Path(f"/proc/{about['pid']}/environ").read_bytes().split(b"\0")


def test_a_downgrade_takes_over_what_a_newer_version_has_added(installed, started, command, status):
    installed.become("99.0")
    installed.edit(
        "supervisor/state.py", '"format": FORMAT,', '"format": FORMAT, "colour": "blue", "news": [1],'
    )
    installed.edit(
        "core/fleet/model.py", "last_generation: int = 0", "news: int = 7\n    last_generation: int = 0"
    )
    with started() as server:
        for name in ("supervisor/state.py", "core/fleet/model.py", "__init__.py"):
            installed.write(name, (Path(sdserve.__file__).parent / name).read_text())
        assert status()["version"] == "99.0"
        with Load(server):
            assert command("upgrade", "shop")[0] == 0
        assert status()["version"] == __version__


@pytest.fixture
def other_environment(tmp_path):
    """A virtual environment of another Python, in which sdserve can do without what is compiled."""
    if (python := other_python()) is None:
        pytest.skip("no other Python from 3.11 to 3.14 is installed here")
    venv = tmp_path / "other"
    subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
    [packages] = venv.glob("lib/python3*/site-packages")
    (packages / "systemd").mkdir()
    # Nothing is passed to us here, so it is not called.
    (packages / "systemd/daemon.py").write_text("def listen_fds_with_names(): raise NotImplementedError\n")
    return venv


def test_another_python_goes_on_and_so_does_the_one_before(
    installed, started, command, status, other_environment
):
    def switch(environment):
        new = installed.directory / "new"
        new.symlink_to(environment)
        new.rename(installed.environment)

    with started("loop = asyncio") as server:
        pid = status()["pid"]
        for environment in (other_environment, sys.prefix):
            switch(environment)
            version = subprocess.check_output(
                [f"{environment}/bin/python", "-c", "import platform; print(platform.python_version())"],
                text=True,
                timeout=60,
            )
            with Load(server):
                code, lines = command("upgrade", "shop")
            assert code == 0, lines
            assert lines[-1].endswith(f"was replaced by sdserve {__version__} on Python {version.strip()}")
            assert status()["pid"] == pid


@pytest.mark.parametrize(
    "program", [["./serve"], [sys.executable, "-m", "sdserve"], [sys.executable, "serve"]]
)
def test_it_is_started_again_as_it_was(started, installed, command, status, program):
    with started(target="../shop.ini", program=program, cwd=installed.directory) as server:
        installed.become("99.0")
        assert command("upgrade", "shop")[0] == 0
        assert status()["version"] == "99.0"
        arguments = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().split(b"\0")
        assert arguments[-3:] == [b"run", b"../shop.ini", b""]


# What cannot take over


def break_import(installed):
    installed.add("supervisor/loop.py", "import no_such_module")
    return "ModuleNotFoundError: No module named 'no_such_module'"


def break_syntax(installed):
    installed.write("cli/main.py", "def main(:\n")
    return "SyntaxError"


def change_format(installed):
    installed.edit("supervisor/state.py", "FORMAT = 1", "FORMAT = 2")
    return "it has the format 1, this is sdserve"


def forget_an_argument(installed):
    installed.edit("cli/run.py", '"--preflight"', '"--another"')
    return "unknown argument --preflight"


def lose_script(installed):
    installed.script.unlink()
    return f"{installed.script}: No such file or directory"


def lose_interpreter(installed):
    installed.environment.unlink()
    return f"{installed.script}: No such file or directory"


BROKEN = [
    break_import,
    break_syntax,
    change_format,
    forget_an_argument,
    lose_script,
    lose_interpreter,
]


@pytest.mark.parametrize("break_it", BROKEN)
def test_what_cannot_take_over_changes_nothing(shop, installed, command, status, break_it):
    before = status()
    reason = break_it(installed)
    code, lines = command("upgrade", "shop")
    assert code == 1
    assert reason in "\n".join(lines)
    assert not went_on(shop)
    after = status()
    assert pids(after) == pids(before)
    assert after["version"] == __version__
    assert [generation["number"] for generation in after["generations"]] == [1]
    assert ask(shop)["release"] == "one"


def test_the_traceback_is_in_the_log_and_the_repaired_version_takes_over(shop, installed, command, status):
    break_import(installed)
    with Load(shop):
        assert command("reload", "shop")[0] == 1
    assert shop.stderr().count("Traceback (most recent call last)") == 1
    assert re.search(r"in <module>\n.*    import no_such_module\n", shop.stderr())
    shutil.copy(
        Path(sdserve.__file__).parent / "supervisor/loop.py", installed.package / "supervisor/loop.py"
    )
    installed.become("99.0")
    assert command("upgrade", "shop")[0] == 0
    assert status()["version"] == "99.0"


def test_a_wrong_configuration_is_printed_whole_and_nothing_changes(shop, command, status, tmp_path):
    configure(tmp_path, "cuont = 3")
    code, lines = command("upgrade", "shop")
    assert code == 1
    assert f"{tmp_path}/shop.ini:9: [workers] cuont: unknown option" in "\n".join(lines)
    assert not went_on(shop)


def test_one_that_does_not_answer_is_given_up(shop, installed, command, status, tmp_path):
    text = (tmp_path / "shop.ini").read_text().replace("boot_timeout = 60s", "boot_timeout = 2s")
    (tmp_path / "shop.ini").write_text(text)
    assert command("reload", "shop")[0] == 0
    installed.add("run/prepare.py", "import time\ntime.sleep(600)")
    code, lines = command("upgrade", "shop")
    assert code == 1
    assert "its configuration was not read within 2 s" in "\n".join(lines)
    wait_until(lambda: len(descendants(shop.process.pid)) == 3)
    assert ask(shop)["release"] == "one"


# What survives


def test_an_application_that_fails_in_the_new_version_leaves_the_old_workers_to_the_new_program(
    shop, installed, release, command, status
):
    release("two")
    assert command("reload", "shop")[0] == 0
    assert command("scale", "shop", "3")[0] == 0
    before = status()
    installed.become("99.0")
    release("three", "import no_such_module")
    with Load(shop):
        code, lines = command("upgrade", "shop")
    assert code == 1
    assert "No module named 'no_such_module'" in "\n".join(lines)
    after = status()
    assert after["version"] == "99.0"
    assert pids(after) == pids(before)
    assert after["slots"] == 3, "as it was scaled"
    assert 3 not in [generation["number"] for generation in after["generations"]]
    # The zygote of then has forked the worker that comes now.
    zygote = {one["number"]: one["zygote_pid"] for one in before["generations"]}[2]
    assert {one["number"]: one["zygote_pid"] for one in after["generations"]}[2] == zygote
    os.kill(min(pids(after)), signal.SIGKILL)
    wait_until(lambda: len(pids(status()) - {min(pids(after))}) == 3)
    assert {ask(shop)["release"] for _ in range(20)} == {"two"}
    assert {worker["generation"] for worker in status()["workers"]} == {2}


def test_the_last_reload_is_remembered(shop, installed, release, command, status, tmp_path, upgrade):
    release("two", "import no_such_module")
    assert command("reload", "shop")[0] == 1
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    release("three", f"open({str(fifo)!r}).read()\n" + SOURCE)
    client = upgrade()
    with open(fifo, "w"):  # returns when the first worker of the new program has opened it, too
        state = status()
        fifo.unlink()
        fifo.write_text("")
    assert went_on(shop)
    assert state["last_reload"]["generation"] == 2
    assert "no_such_module" in state["last_reload"]["text"]
    assert client.communicate(timeout=TIMEOUT)[0].startswith("generation 3 serves")
    assert client.returncode == 0


def test_a_worker_that_crashes_after_it_is_replaced_in_its_slot(shop, command, status):
    assert command("upgrade", "shop")[0] == 0
    before = status()
    victim = before["workers"][0]
    os.kill(victim["pid"], signal.SIGKILL)
    wait_until(lambda: len(pids(status()) - {victim["pid"]}) == 2)
    slots = {worker["slot"]: worker["pid"] for worker in status()["workers"] if worker["state"] == "ready"}
    assert slots.keys() == {1, 2}
    assert slots[victim["slot"]] != victim["pid"]


def counts(server):
    """How many descriptors the supervisor has, and how many everybody; a worker's spare one is left out."""
    numbers = [len(descriptors(pid)) for pid in everybody(server)]
    return numbers[0], sorted(numbers)


def test_nothing_adds_up_over_many_upgrades(shop, installed, command, status):
    assert command("upgrade", "shop")[0] == 0
    wait_until(lambda: len(descendants(shop.process.pid)) == 3)
    before = counts(shop)
    with Load(shop):
        for version in range(4):
            installed.become(f"99.{version}")
            assert command("upgrade", "shop")[0] == 0
    assert status()["version"] == "99.3"
    wait_until(lambda: len(descendants(shop.process.pid)) == 3)
    assert [process_status(pid, "State") for pid in everybody(shop)].count("Z") == 0
    # Clients that have hung up may not have been noticed yet.
    wait_until(lambda: counts(shop) == before)
    environment = Path(f"/proc/{shop.process.pid}/environ").read_bytes()
    assert environment.count(b"SDSERVE_STATE=") == 1


def test_signals_are_as_at_the_start_for_everybody(started, command):
    def masks(server):
        names = ("SigBlk", "SigIgn", "SigCgt", "ShdPnd", "SigPnd")
        return sorted(tuple(process_status(pid, name) for name in names) for pid in everybody(server)[1:])

    with started(wrapper=["sh", "-c", 'trap "" INT; exec nohup "$@"', "sh"]) as server:
        before, own = masks(server), process_status(server.process.pid, "SigIgn")
        assert command("upgrade", "shop")[0] == 0
        assert went_on(server)
        wait_until(lambda: len(descendants(server.process.pid)) == 3)
        assert masks(server) == before
        assert process_status(server.process.pid, "SigBlk") == "0" * 16
        assert process_status(server.process.pid, "SigIgn") == own
        for signum in (signal.SIGINT, signal.SIGHUP):
            server.process.send_signal(signum)
        assert command("status", "shop")[0] == 0
