from __future__ import annotations

import os

import pytest

from sdserve.config.target import find_target

APP = ("--app", "shop.wsgi:application")


@pytest.fixture
def code(shell):
    (shell.path / "code").mkdir()
    return shell.path / "code"


def test_it_writes_a_file_that_is_right_and_tells_the_next_command(shell, code):
    done = shell.run("init", "shop", *APP, "--listen", "8001", "--directory", "code")
    path = f"{shell.path}/etc/shop.ini"
    assert done == (
        0,
        [
            f"{path} is written: shop.wsgi:application at 127.0.0.1:8001",
            "Next: systemctl enable --now sdserve@shop",
        ],
        [],
    )
    text = (shell.etc / "shop.ini").read_text()
    assert f"\ndirectory = {code}\n# venv = .venv\n" in text
    assert "\naddress = 127.0.0.1:8001\n" in text
    assert "group" not in text
    assert os.stat(shell.etc / "shop.ini").st_mode & 0o777 == 0o644
    assert shell.run("check", "shop")[0] == 0


def test_what_is_not_said_has_a_sensible_value(shell, code, monkeypatch):
    shell.write("code/.venv/pyvenv.cfg", "")
    monkeypatch.chdir(code)
    assert shell.run("init", "shop", *APP)[0] == 78  # this .venv is none
    text = (shell.etc / "shop.ini").read_text()
    assert f"\nvenv = {code}/.venv\n" in text
    assert "\naddress = 127.0.0.1:8000\n" in text


def test_a_unix_socket_is_for_the_proxy(shell, code):
    addresses = ("--listen", "/run/sdserve/shop.sock", "--listen", "[::1]:80")
    shell.run("init", "shop", *APP, "--directory", "code", *addresses, "--proxy-user", "daemon")
    text = (shell.etc / "shop.ini").read_text()
    assert "\naddress = unix:/run/sdserve/shop.sock\n    [::1]:80\n" in text
    assert "\nmode = 0660\ngroup = daemon\n" in text
    assert shell.run("check", "shop")[0] == 0


def test_without_a_word_about_it_it_is_the_group_of_a_usual_proxy(shell, code):
    shell.run("init", "shop", *APP, "--directory", "code", "--listen", "/run/x.sock")
    assert "\ngroup = www-data\n" in (shell.etc / "shop.ini").read_text()


def test_odd_paths_are_quoted(shell):
    (shell.path / "a #b").mkdir()
    assert shell.run("init", "shop", *APP, "--directory", "a #b")[0] == 0


def test_one_that_is_there_is_left_alone(shell, code):
    shell.write("etc/shop.ini", "mine")
    done = shell.run("init", "shop", *APP, "--directory", "code")
    assert done == (1, [], ["sdserve: etc/shop.ini is there already; edit it, or remove it first"])
    assert (shell.etc / "shop.ini").read_text() == "mine"


def test_what_is_not_there_yet_is_named_and_the_file_stays(shell):
    done = shell.run("init", "shop", *APP, "--directory", "nowhere")
    assert done[0] == 78
    assert done[2] == [
        "etc/shop.ini is written, and not right yet:",
        "etc/shop.ini:8: [app] directory: nowhere does not exist",
    ]
    assert (shell.etc / "shop.ini").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("init", "a/b", *APP), "'a/b' cannot be the name"),
        (("init", "sdserve", *APP), "'sdserve' cannot be the name"),
        (("init", "shop", "--app", "shop"), "'shop' is neither module:attribute nor module:factory()"),
        (("init", "shop", *APP, "--listen", "99999"), "'99999' is no port"),
        (("init", "shop", *APP, "--listen", "example.org:80"), "names are not resolved"),
    ],
)
def test_what_makes_no_sense_is_refused(shell, arguments, reason):
    code, _, err = shell.run(*arguments)
    assert code == 2
    assert reason in err[0]
    assert list(shell.etc.iterdir()) == []


def test_a_user_has_a_directory_and_a_manager_of_their_own(shell, code, monkeypatch):
    monkeypatch.delenv("SDSERVE_CONFIG_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shell.path / "config"))
    code_, out, _ = shell.run("init", "shop", *APP, "--directory", "code", "--user")
    assert (code_, out[-1]) == (0, "Next: systemctl --user enable --now sdserve@shop")
    assert find_target("shop", shell.path / "config/sdserve").name == "shop"


def test_a_directory_that_cannot_be_written_is_named(shell, code):
    shell.etc.rmdir()
    shell.write("etc", "")
    assert shell.run("init", "shop", *APP, "--directory", "code")[0] == 1
