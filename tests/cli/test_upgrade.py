from __future__ import annotations

import pytest

from sdserve.cli import upgrade
from sdserve.errors import DeniedError, UnavailableError
from sdserve.host import control_client
from sdserve.host.control_client import RefusedError


def test_an_upgrade_prints_what_came_of_it(shell, instance):
    instance.answer = {"message": "generation 2 serves\nsdserve 1 was replaced by sdserve 2"}
    out = ["generation 2 serves", "sdserve 1 was replaced by sdserve 2"]
    assert shell.run("upgrade", "./shop.ini", "--timeout", "1m") == (0, out, [])
    assert instance.calls == [("shop", "Upgrade", None, 60.0)]


def test_an_upgrade_that_failed_prints_the_whole_reason_and_fails(shell, instance):
    instance.answer = RefusedError("no module\nshop\x1b[31m")
    assert shell.run("upgrade", "shop") == (1, [], ["no module", "shop\\x1b[31m"])


@pytest.mark.parametrize(
    ("error", "code"), [(UnavailableError("shop is not running"), 69), (DeniedError("not yours"), 77)]
)
def test_an_instance_that_is_not_there_is_an_error(shell, instance, error, code):
    instance.answer = error
    assert shell.run("upgrade", "shop") == (code, [], [f"sdserve: {error}"])


def test_an_interrupted_upgrade_says_that_it_goes_on(shell, instance):
    instance.answer = KeyboardInterrupt()
    err = ["sdserve: the upgrade of shop goes on; `sdserve status shop` tells how"]
    assert shell.run("upgrade", "shop") == (130, [], err)


@pytest.mark.parametrize("arguments", [[], ["shop", "--all"]])
def test_either_a_target_or_all_is_to_be_given(shell, instance, arguments):
    assert shell.run("upgrade", *arguments) == (2, [], ["sdserve: upgrade takes TARGET or --all"])
    assert instance.calls == []


class Several:
    """Instances of these names; what each answers, or raises."""

    def __init__(self, **answers):
        self.answers = answers

    def running(self):
        return list(self.answers)

    def call(self, name, method, parameters=None, *, timeout=None):
        assert (method, parameters) == ("Upgrade", None)
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        return {"message": answer}


@pytest.fixture
def several(monkeypatch):
    def several(**answers):
        instances = Several(**answers)
        monkeypatch.setattr(upgrade, "running", instances.running)
        monkeypatch.setattr(control_client, "call", instances.call)

    return several


def test_all_may_be_none(shell, several):
    several()
    assert shell.run("upgrade", "--all") == (0, [], [])


def test_all_are_upgraded_one_after_the_other(shell, several):
    several(api="generation 2 serves", web="generation 7 serves")
    out = ["api: generation 2 serves", "web: generation 7 serves"]
    assert shell.run("upgrade", "--all") == (0, out, [])


def test_one_that_fails_keeps_no_other_from_its_upgrade(shell, several):
    several(
        api=RefusedError("no module"),
        gone=UnavailableError("gone is not running"),
        other=DeniedError("other takes orders only from root"),
        web="generation 7 serves",
    )
    assert shell.run("upgrade", "--all") == (
        1,
        ["web: generation 7 serves"],
        ["api: no module", "sdserve: gone is not running", "sdserve: other takes orders only from root"],
    )


def test_the_first_failure_is_the_exit_code(shell, several):
    several(api="generation 2 serves", gone=UnavailableError("gone is not running"), web=RefusedError("no"))
    assert shell.run("upgrade", "--all")[0] == 69
