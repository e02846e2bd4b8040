"""Upgrades in place: sdserve's own files are replaced while it serves, and it goes on as what is there then.

The server runs from a copy of the package, so that a test can change it.
"""

from __future__ import annotations

import http.client
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import sdserve
from sdserve import __version__
from sdserve.host.control_client import call
from tests.run.conftest import SOURCE, ask, configure, pids, wait_until
from tests.serving import ROOT, TIMEOUT, Server, descendants

PYTHON = f"Python {'.'.join(map(str, sys.version_info[:3]))}"


class Installed:
    """An sdserve of its own: a script, and the package beside it, for which it looks there first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.package = directory / "sdserve"
        self.script = directory / "serve"
        self.environment = directory / "environment"
        """A link to the virtual environment whose interpreter the script names."""
        self._times = itertools.count(1)
        directory.mkdir()
        shutil.copytree(os.path.dirname(sdserve.__file__), self.package)
        self.environment.symlink_to(sys.prefix)
        self.script.write_text(
            f"#!{self.environment}/bin/python\n"
            "import sys\n"
            "from sdserve.cli.main import main\n"
            "sys.exit(main())\n"
        )
        self.script.chmod(0o755)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace what a file of the package says."""
        text = (self.package / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        """Replace a whole file of the package. Its time is one that no compiled file has."""
        path = self.package / name
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)
        moment = 1_000_000_000 + next(self._times)
        os.utime(path, (moment, moment))

    def become(self, version: str) -> None:
        """Have another version."""
        self.write("__init__.py", f'__version__ = "{version}"\n')

    def add(self, name: str, line: str) -> None:
        """Begin a file's code with this line."""
        self.edit(
            name, "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n"
        )


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path / "installed")


@pytest.fixture
def started(tmp_path, run, release, installed):
    """Starts `shop` with the release `one` by the installed program."""

    @contextmanager
    def started(*lines, target=f"{tmp_path}/shop.ini", program=(str(installed.script),), **popen):
        release("one")
        configure(tmp_path, *lines)
        with (
            run(target, program=program, **popen) as server,
            server.notifications.read_all_the_time(),
        ):
            server.wait_until_ready()
            yield server
            print(server.stderr())  # shown if it failed
            assert server.stop() == 0

    return started


@pytest.fixture
def shop(started):
    with started() as server:
        yield server


@pytest.fixture
def upgrade(tmp_path):
    """Starts `sdserve upgrade shop` or another command; a process whose output is both streams'."""

    def upgrade(command="upgrade", *options):
        return subprocess.Popen(
            [sys.executable, "-m", "sdserve", command, "shop", *options],
            cwd=ROOT,
            env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return upgrade


class Load:
    """Clients that send one request after the other, each on one connection that it keeps."""

    def __init__(self, server: Server, clients: int = 2) -> None:
        self.answers = [0] * clients
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(server, number)) for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(self.answers) or self.failures)
        return self

    def __exit__(self, *_: object) -> None:
        before = list(self.answers)
        wait_until(lambda: all(map(int.__lt__, before, self.answers)) or self.failures)
        self._ended.set()
        for thread in self._threads:
            thread.join(TIMEOUT)
        assert self.failures == []

    def _send(self, server: Server, number: int) -> None:
        try:
            with server.connection() as client:
                while not self._ended.is_set():
                    response = client.exchange("GET", "/")
                    assert response.status == 200
                    assert response.field("Connection") is None
                    self.answers[number] += 1
                    self._ended.wait(0.005)  # to leave the server some of the machine
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))


def went_on(server, times=1):
    """Whether so many programs have gone on in place of another."""
    return server.stderr().count("goes on in place of sdserve") >= times


def process_status(pid, name):
    return re.search(rf"^{name}:\s+(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1)


def descriptors(pid):
    return sorted(os.listdir(f"/proc/{pid}/fd"), key=int)


def everybody(server):
    return [server.process.pid, *descendants(server.process.pid)]


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


def test_nothing_adds_up_over_many_upgrades(shop, installed, command, status):
    assert command("upgrade", "shop")[0] == 0
    # Two workers, and the zygotes of two generations.
    wait_until(lambda: len(descendants(shop.process.pid)) == 4)
    open_before = {pid: len(descriptors(pid)) for pid in everybody(shop)}
    with Load(shop):
        for version in range(4):
            installed.become(f"99.{version}")
            assert command("upgrade", "shop")[0] == 0
    assert status()["version"] == "99.3"
    wait_until(lambda: len(descendants(shop.process.pid)) == 4)
    assert [process_status(pid, "State") for pid in everybody(shop)].count("Z") == 0
    open_after = {pid: len(descriptors(pid)) for pid in everybody(shop)}
    assert open_after[shop.process.pid] == open_before[shop.process.pid]
    assert sorted(open_after.values()) == sorted(open_before.values())
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
        assert masks(server) == before
        assert process_status(server.process.pid, "SigBlk") == "0" * 16
        assert process_status(server.process.pid, "SigIgn") == own
        for signum in (signal.SIGINT, signal.SIGHUP):
            server.process.send_signal(signum)
        assert command("status", "shop")[0] == 0


# What else goes on


def test_two_who_ask_at_once_are_both_answered(shop, upgrade, status):
    clients = [upgrade(), upgrade()]
    for client in clients:
        told, _ = client.communicate(timeout=3 * TIMEOUT)
        assert client.returncode == 0, told
    assert status()["last_reload"]["ok"]


def test_an_upgrade_takes_the_place_of_a_reload(shop, release, upgrade, status, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    release("two", f"open({str(fifo)!r}).read()\n" + SOURCE)
    reload = upgrade("reload")
    with open(fifo, "w"):  # returns when the first worker of the new code has opened it, too
        assert status()["reloading_to"] == 2
        fifo.unlink()
        fifo.write_text("")
        both = [reload, upgrade()]
        wait_until(lambda: status()["reloading_to"] == 3)
        told = [client.communicate(timeout=3 * TIMEOUT)[0] for client in both]
    assert [client.returncode for client in both] == [0, 0], told
    assert went_on(shop)
    assert [text.splitlines()[0] for text in told] == ["generation 3 serves with 2 workers"] * 2
    assert ask(shop)["release"] == "two"


def test_a_reload_takes_the_place_of_an_upgrade_and_is_one(shop, release, upgrade, status, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    release("two", f"open({str(fifo)!r}).read()\n" + SOURCE)
    first = upgrade()
    with open(fifo, "w"):
        assert went_on(shop)
        fifo.unlink()
        fifo.write_text("")
        both = [first, upgrade("reload")]
        wait_until(lambda: status()["reloading_to"] == 3)
        told = [client.communicate(timeout=3 * TIMEOUT)[0] for client in both]
    assert [client.returncode for client in both] == [0, 0], told
    assert ask(shop)["release"] == "two"


def test_a_status_is_told_all_the_time(shop, tmp_path, monkeypatch, upgrade):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    for _ in range(2):
        client = upgrade()
        while client.poll() is None:
            assert call("shop", "Status", timeout=TIMEOUT)["status"]["name"] == "shop"
        assert client.communicate()[0].startswith("generation")
        assert client.returncode == 0


@pytest.mark.parametrize("said", ["upgrading to generation 2", "sdserve is replaced", "goes on in place of"])
def test_a_stop_right_behind_it_is_a_stop(shop, upgrade, said):
    client = upgrade()
    wait_until(lambda: said in shop.stderr())
    assert shop.stop() == 0
    told, _ = client.communicate(timeout=TIMEOUT)
    assert client.returncode == 1
    assert "stopping" in told.lower()
    assert "Traceback" not in shop.stderr()


def test_a_stop_in_the_same_moment_is_a_stop(shop):
    shop.process.send_signal(signal.SIGUSR2)
    assert shop.stop() == 0


def test_children_that_die_while_it_is_replaced_are_missed(shop, upgrade, status):
    before = pids(status())
    client = upgrade()
    wait_until(lambda: "sdserve is replaced" in shop.stderr())
    for pid in before:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    told, _ = client.communicate(timeout=3 * TIMEOUT)
    assert client.returncode == 0, told
    wait_until(lambda: len(pids(status())) == 2)
    assert [process_status(pid, "State") for pid in everybody(shop)].count("Z") == 0


def test_what_a_reload_would_change_is_found_out_although_it_is_replaced(
    shop, installed, upgrade, command, tmp_path
):
    gate = tmp_path / "gate"
    gate.touch()
    installed.edit(
        "run/prepare.py",
        "    configuration = load()\n",
        "    import os, time\n"
        f"    while not received.message.generation and os.path.exists({str(gate)!r}):\n"
        "        time.sleep(0.01)\n"
        "    configuration = load()\n",
    )
    asking = upgrade("status", "--timeout", "60s")
    wait_until(lambda: len(descendants(shop.process.pid)) == 4)
    assert command("upgrade", "shop")[0] == 0
    assert went_on(shop)
    assert asking.poll() is None
    gate.unlink()
    told, _ = asking.communicate(timeout=3 * TIMEOUT)
    assert asking.returncode == 0
    assert "shop: Serving" in told
    assert "not known" not in told
    wait_until(lambda: len(descendants(shop.process.pid)) == 4)  # with the zygote of before


# Where it runs


def test_without_a_control_socket_there_is_the_signal(run, installed, release, tmp_path):
    release("one")
    configure(tmp_path)
    (tmp_path / "control.lock").mkdir()
    with (
        run(f"{tmp_path}/shop.ini", program=[str(installed.script)]) as server,
        server.notifications.read_all_the_time(),
    ):
        server.wait_until_ready()
        assert "no control socket" in server.stderr()
        with Load(server):
            server.process.send_signal(signal.SIGUSR2)
            wait_until(lambda: went_on(server))
            server.wait_for_status("generation 2$")
        assert server.stop() == 0


def test_closed_standard_descriptors_are_no_obstacle(started, command):
    with started(wrapper=["sh", "-c", 'exec "$@" 0<&- 1>&-', "sh"]) as server:
        for _ in range(2):
            assert command("upgrade", "shop")[0] == 0
        links = [os.readlink(f"/proc/{server.process.pid}/fd/{number}") for number in range(2)]
        assert links == [os.devnull] * 2
        assert ask(server)["release"] == "one"


def test_a_preloaded_application_is_loaded_anew(started, release, command, tmp_path):
    (tmp_path / "shop.ini.d").mkdir()
    (tmp_path / "shop.ini.d/preload.conf").write_text("[app]\npreload = yes\n")
    with started() as server:
        release("two")
        with Load(server):
            assert command("upgrade", "shop")[0] == 0
        assert ask(server)["release"] == "two"


def test_a_control_socket_is_left_clean(shop, command, tmp_path):
    assert command("upgrade", "shop")[0] == 0
    assert shop.stop() == 0
    assert not (tmp_path / "control").exists()
    assert not (tmp_path / "control.lock").exists()
    assert not (tmp_path / "web.sock").exists()
