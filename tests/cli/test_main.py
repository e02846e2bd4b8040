import json
import re
import subprocess
import sys

import pytest

from sdserve import __version__
from sdserve.cli import main as module
from sdserve.cli import run
from sdserve.cli.main import COMMANDS, main
from sdserve.errors import BindError, BootError


def test_version_says_which_python_too(shell):
    code, out, err = shell.run("--version")
    assert (code, err) == (0, [])
    assert re.fullmatch(rf"sdserve {re.escape(__version__)} \(Python 3\.\d+\.\d+\S*\)", out[0])


def test_help_lists_commands_and_exit_codes(shell):
    code, out, err = shell.run("--help")
    assert (code, err) == (0, [])
    text = "\n".join(out)
    assert all(f"    {name} " in text for name in COMMANDS)
    assert "78  wrong configuration" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_in_its_help(shell, name):
    code, out, err = shell.run(name, "--help")
    assert (code, err) == (0, [])
    assert "examples:" in out
    assert any(line.startswith(f"  sdserve {name} ") for line in out)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "sdserve: the following arguments are required: COMMAND; see sdserve --help"),
        (["chek"], "sdserve: unknown command chek, did you mean check?"),
        (
            ["x", "--help"],
            "sdserve: unknown command x; the commands are: " + ", ".join(COMMANDS),
        ),
        (["check"], "sdserve: the following arguments are required: TARGET; see sdserve check --help"),
        (["check", "a:b", "--wrokers", "2"], "sdserve: unknown argument --wrokers, did you mean --workers?"),
        (["check", "a:b", "--work=2"], "sdserve: unknown argument --work=2, did you mean --workers?"),
        (["check", "a:b", "c:d"], "sdserve: unknown argument c:d"),
        (
            ["check", "a:b", "--bind"],
            "sdserve: argument --bind: expected one argument; see sdserve check --help",
        ),
        (
            ["check", "!"],
            "sdserve: '!' is not an instance (letters, digits, '_', '.', '-'), a file or module:attribute",
        ),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_a_hint(shell, argv, message):
    assert shell.run(*argv) == (2, [], [message])


def test_a_wrong_configuration_is_exit_code_78_and_one_line_a_problem(shell):
    shell.write("etc/shop.ini", "[app]\naplication = a:b\n[log]\nlevel = x\n")
    assert shell.run("check", "shop") == (
        78,
        [],
        [
            "etc/shop.ini: [app] application: is missing; write module:attribute or module:factory()",
            "etc/shop.ini:2: [app] aplication: unknown option, did you mean application?",
            "etc/shop.ini:4: [log] level: 'x' is not valid; choose one of: debug, info, warning, error",
        ],
    )


@pytest.mark.parametrize(("error", "code"), [(BindError("in use"), 71), (BootError("no module"), 3)])
def test_an_error_is_a_line_and_its_exit_code(shell, monkeypatch, error, code):
    def fail(arguments):
        raise error

    monkeypatch.setattr(run, "execute", fail)
    assert shell.run("run", "a:b") == (code, [], [f"sdserve: {error}"])


def test_what_is_no_error_of_ours_passes_through(monkeypatch):
    def fail(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(run, "execute", fail)
    with pytest.raises(ZeroDivisionError):
        main(["run", "a:b"])


def test_an_interrupt_is_exit_code_130(shell, monkeypatch):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "execute", interrupt)
    assert shell.run("run", "a:b") == (130, [], [])


def test_the_arguments_of_the_process_are_the_default(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["sdserve", "--version"])
    assert main() == 0
    assert capfd.readouterr().out.startswith("sdserve ")


def test_a_message_cannot_write_to_the_terminal_as_it_likes(shell):
    assert shell.run("\x1b[2J") == (
        2,
        [],
        [f"sdserve: unknown command \\x1b[2J; the commands are: {', '.join(COMMANDS)}"],
    )


def test_python_m_is_the_same_program():
    command = [sys.executable, "-m", "sdserve", "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("sdserve ")


def test_a_command_that_does_not_serve_imports_no_server():
    program = (
        "import json, sys; from sdserve.cli.main import main; main(['show', 'a:b']); "
        "json.dump(list(sys.modules), sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    imported = set(json.loads(done.stderr))
    assert {"uvloop", "asyncio", "h11", "systemd", "sdserve.worker", "sdserve.supervisor"} & imported == set()


def test_every_command_is_in_a_file_of_its_name():
    assert {name: command.__name__ for name, command in module.COMMANDS.items()} == {
        name: f"sdserve.cli.{name}" for name in COMMANDS
    }


@pytest.mark.parametrize(("target", "code"), [("a:b", 0), ("!", 2)])
def test_closed_standard_descriptors_change_no_exit_code(target, code):
    command = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable, "-m", "sdserve", "check", target]
    assert subprocess.run(command, timeout=20, check=False).returncode == code


@pytest.mark.parametrize("command", ["run", "check", "show"])
def test_a_working_directory_that_is_deleted_is_one_line(shell, tmp_path, monkeypatch, command):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n")
    (tmp_path / "deleted").mkdir()
    monkeypatch.chdir(tmp_path / "deleted")
    (tmp_path / "deleted").rmdir()
    message = (
        "sdserve: the working directory cannot be used: No such file or directory; "
        "change to one that exists, or to this one again if it was replaced"
    )
    for target in ("a:b", "shop", "../etc/shop.ini"):
        assert shell.run(command, target) == (1, [], [message])


@pytest.mark.parametrize("target", ["a:b", "shop", "../etc/shop.ini"])
def test_a_running_instance_is_reached_from_a_working_directory_that_is_deleted(
    shell, tmp_path, monkeypatch, instance, target
):
    (tmp_path / "deleted").mkdir()
    monkeypatch.chdir(tmp_path / "deleted")
    (tmp_path / "deleted").rmdir()
    assert shell.run("reload", target)[0] == 0
