from __future__ import annotations

import shutil
import subprocess

import pytest

from sdserve.cli import completion
from sdserve.cli.main import COMMANDS

SHELLS = {"bash": completion.bash, "zsh": completion.zsh, "fish": completion.fish}


@pytest.fixture
def etc(tmp_path, monkeypatch):
    for name in ("shop.ini", "blog.ini", "sdserve.ini", "notes.txt"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("SDSERVE_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(shell, script, *arguments):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, *arguments], input=script, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def in_bash(*words):
    quoted = " ".join(f"'{word}'" for word in words)
    return run(
        "bash",
        f"{completion.bash()}\nCOMP_WORDS=(sdserve {quoted}); COMP_CWORD={len(words)}\n"
        '_sdserve; printf "%s\\n" "${COMPREPLY[@]}"\n',
    )


def in_fish(line):
    lines = run("fish", f"{completion.fish()}\ncomplete -C '{line}'\n")
    return [text.split("\t")[0] for text in lines]


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_a_program_of_its_shell(shell):
    run(shell, SHELLS[shell](), "-n")


def test_bash_completes_commands_instances_and_options(etc):
    assert set(COMMANDS) <= set(in_bash(""))
    assert in_bash("rel") == ["reload"]
    assert sorted(word for word in in_bash("status", "") if "." not in word) == ["blog", "shop"]
    assert in_bash("check", "s")[0] == "shop"
    assert in_bash("check", "shop", "--pro") == ["--proxy-user"]
    assert "shop" not in in_bash("init", "s")


def test_fish_completes_commands_instances_and_options(etc):
    assert set(COMMANDS) <= set(in_fish("sdserve "))
    assert {"blog", "shop"} <= set(in_fish("sdserve status "))
    assert "sdserve" not in in_fish("sdserve status ")
    assert in_fish("sdserve check shop --pro") == ["--proxy-user"]


def test_zsh_knows_commands_and_options():
    text = completion.zsh()
    for name, command in COMMANDS.items():
        assert f"'{name}:{command.HELP}'" in text
    assert "'--proxy-user[" in text
    assert "'*--bind[" in text
