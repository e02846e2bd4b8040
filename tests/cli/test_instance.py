"""What the commands to a running instance have in common; `tests/run` has them with a real one."""

from __future__ import annotations

import pytest

from sdserve.errors import DeniedError, UnavailableError


@pytest.mark.parametrize(
    ("target", "name"),
    [("shop", "shop"), ("./broken.ini", "broken"), ("/no/such/one.ini", "one"), ("shop.wsgi:app", "sdserve")],
)
def test_only_the_name_of_the_target_matters(shell, instance, target, name):
    shell.write("broken.ini", "[app\n")
    instance.answer = {"message": "done"}
    assert shell.run("reload", target)[0] == 0
    assert instance.calls[0][0] == name


@pytest.mark.parametrize("command", [["reload"], ["status"], ["scale"]])
@pytest.mark.parametrize(
    ("error", "code"), [(UnavailableError("not running"), 69), (DeniedError("not running"), 77)]
)
def test_an_instance_that_cannot_be_asked_is_an_error_of_its_own(shell, instance, command, error, code):
    instance.answer = error
    more = ["2"] if command == ["scale"] else []
    assert shell.run(*command, "shop", *more) == (code, [], ["sdserve: not running"])


def test_a_time_out_is_a_duration(shell, instance):
    assert shell.run("reload", "shop", "--timeout", "1m")[0] == 0
    assert instance.calls[0][3] == 60
    code, _, [complaint] = shell.run("reload", "shop", "--timeout", "soon")
    assert code == 2
    assert "--timeout: " in complaint


def test_a_name_that_is_none_is_refused(shell, instance):
    assert shell.run("status", "sh op")[0] == 2
    assert instance.calls == []
