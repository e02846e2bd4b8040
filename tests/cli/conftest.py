"""The command line as a user has it, in this process."""

from __future__ import annotations

import pytest

from sdserve.cli.arguments import DIRECTORY_VARIABLE
from sdserve.cli.main import main
from sdserve.host import control_client


class Shell:
    """Runs commands in a directory of their own; `etc` is the configuration directory."""

    def __init__(self, path, capfd):
        self.path = path
        self.etc = path / "etc"
        self.etc.mkdir()
        self._capfd = capfd

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *argv):
        """Return exit code, lines of standard output, and lines of standard error with shortened paths."""
        code = main(argv)
        out, err = self._capfd.readouterr()
        return code, out.splitlines(), err.replace(f"{self.path}/", "").splitlines()


@pytest.fixture
def shell(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "etc"))
    return Shell(tmp_path, capfd)


@pytest.fixture
def instance(monkeypatch):
    """A stand-in for every running instance: the calls it got; `answer` is what it returns, or raises.

    `answers` has those of methods that answer something else.
    """

    class Instance:
        def __init__(self):
            self.calls = []
            self.answer = {}
            self.answers = {}

        def call(self, name, method, parameters=None, *, timeout=None):
            self.calls.append((name, method, parameters, timeout))
            answer = self.answers.get(method, self.answer)
            if isinstance(answer, BaseException):
                raise answer
            return answer

    instance = Instance()
    monkeypatch.setattr(control_client, "call", instance.call)
    return instance
