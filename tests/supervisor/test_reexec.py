from __future__ import annotations

import gc
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sdserve.core.fleet import effects, events
from sdserve.host import memfd
from sdserve.host.control_socket import ControlSocket
from sdserve.host.fds import Fd
from sdserve.supervisor import reexec, state
from sdserve.supervisor.control import Control
from sdserve.supervisor.house import Program


@pytest.fixture
def house(start):
    """One that serves, with a control socket."""
    supervisor = start()
    house = supervisor.house
    supervisor.order(effects.OpenGeneration(1))
    supervisor.wait_for(events.ZygoteReady)
    supervisor.order(effects.Fork(generation=1, serial=1, slot=1))
    supervisor.wait_for(events.WorkerReady)
    with TemporaryDirectory(dir="/tmp") as directory:
        house.control = Control(
            ControlSocket(Path(directory)), house.poller, status=dict, check=print, renew=str
        )
        yield house
        house.control.close()
        house.control = None


def program(*command):
    return Program(command=command, arguments=("run", "shop"), identity="", description="")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "No such file or directory"),
        ("data", "Permission denied"),
        ("text", "Exec format error"),
        ("script", "No such file or directory"),
    ],
)
def test_one_that_cannot_be_executed_changes_nothing(house, tmp_path, name, reason):
    (tmp_path / "data").write_text("of no program")
    (tmp_path / "text").write_text("of no program")
    (tmp_path / "text").chmod(0o755)
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    house.program = program(str(tmp_path / name))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    gc.collect()  # what earlier tests have left is not to go in between
    try:
        before = sorted(os.listdir("/proc/self/fd")), dict(os.environ)
        described = state.describe(house)
        answer = reexec.replace_program(house, 2)
        assert answer == events.ProgramNotReplaced(2, f"it cannot be started: {tmp_path}/{name}: {reason}")
        assert (sorted(os.listdir("/proc/self/fd")), dict(os.environ)) == before
        assert state.describe(house) == described
        assert not any(os.get_inheritable(number) for number in state.descriptors(house))
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])


def test_too_little_memory_changes_nothing(house, monkeypatch):
    def fail(name, content):
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(memfd, "sealed", fail)
    answer = reexec.replace_program(house, 2)
    assert answer == events.ProgramNotReplaced(
        2, "it cannot be started: Too many open files; raise LimitNOFILE="
    )
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


TELL = """
import json, os, signal, sys
from sdserve.host import memfd
from sdserve.supervisor import reexec

variable = os.environ["SDSERVE_STATE"]
with reexec.handed_over() as document:
    said = json.loads(memfd.read(document.fileno()))
json.dump(
    {
        "argv": sys.argv[1:],
        "pid": os.getpid(),
        "open": sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")),
        "blocked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "pending": [int(one) for one in signal.sigpending()],
        "variable": os.environ.get("SDSERVE_STATE"),
        "kept": os.environ["KEPT"],
        "document": said,
    },
    open(sys.argv[-1], "w"),
)
os._exit(0)
"""


def test_the_other_program_has_all_descriptors_and_the_document_and_no_signal_yet(
    house, tmp_path, monkeypatch
):
    monkeypatch.setenv("KEPT", "yes")
    (tmp_path / "tell.py").write_text(TELL)
    arguments = ("run", "shop", f"{tmp_path}/told")
    house.program = replace(program(sys.executable, "-P", str(tmp_path / "tell.py")), arguments=arguments)
    numbers = sorted(state.descriptors(house))
    described = json.loads(json.dumps({**state.describe(house), "certificates": {}}))
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)  # as one that comes in between
        reexec.replace_program(house, 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    told = json.loads((tmp_path / "told").read_text())
    assert told["argv"] == [*arguments]
    assert told["pid"] == child
    assert told["document"] == described
    # Standard input, output and error, the handed over, and the file that is written to. Pytest leaves some.
    assert set(numbers) < set(told["open"])
    assert house.poller.fileno() not in told["open"]
    assert house.signals.fileno() not in told["open"]
    assert set(map(int, signal.valid_signals())) - set(told["blocked"]) <= {
        int(signal.SIGKILL),
        int(signal.SIGSTOP),
        32,
        33,
    }
    assert told["pending"] == [signal.SIGTERM]
    assert (told["variable"], told["kept"]) == (None, "yes")


def test_a_program_that_was_started_by_itself_has_no_document(monkeypatch):
    monkeypatch.delenv(reexec.VARIABLE, raising=False)
    assert reexec.handed_over() is None
    monkeypatch.setenv(reexec.VARIABLE, "nonsense")
    assert reexec.handed_over() is None
    assert reexec.VARIABLE not in os.environ


def test_the_document_is_the_callers_and_close_on_exec(monkeypatch):
    number = memfd.sealed("a-name", b"content").steal()
    os.set_inheritable(number, True)
    monkeypatch.setenv(reexec.VARIABLE, str(number))
    document = reexec.handed_over()
    assert isinstance(document, Fd)
    with document:
        assert document.fileno() == number
        assert not os.get_inheritable(number)
    assert reexec.VARIABLE not in os.environ, "children are not to take it for theirs"
