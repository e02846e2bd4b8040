from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sdserve import __version__
from sdserve.config import codec
from sdserve.core import wire
from sdserve.core.fleet import snapshot
from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import FleetOptions
from sdserve.errors import ConfigurationError, Problem, WireError
from sdserve.host import channel, memfd, program
from sdserve.host.fds import Fd
from sdserve.host.scoreboard import WORDS
from sdserve.run.prepare import prepare
from sdserve.supervisor import state


def configured(directory):
    return codec.decode({"name": "shop", "app": {"application": "a:b", "directory": str(directory)}})


@pytest.fixture
def configuration(tmp_path):
    return configured(tmp_path)


@pytest.fixture
def ask(configuration):
    """Has the question answered by a preparer in this process: its exit code and the answer."""

    def ask(load=lambda: configuration, document=None, message=None):
        ours, theirs = channel.pair()
        content = json.dumps(document or state_of(configuration)).encode()
        with memfd.sealed("state", content) as memory:
            ours.send(message or wire.Prepare(generation=7, version="0.0"), [memory.fileno()])
        try:
            code = prepare(theirs.socket.detach(), load)
            received = ours.receive()
            return code, received and received.message
        finally:
            ours.close()

    return ask


def state_of(configuration):
    return {
        "format": state.FORMAT,
        "version": __version__,
        "protocol": wire.PROTOCOL,
        "fleet": snapshot.encode(Fleet(options=FleetOptions())),
        "configuration": {},
        "prepared": {},
        "scoreboard": {"words": WORDS},
    }


def test_what_is_found_is_said_by_the_program_that_found_it(ask, configuration, tmp_path):
    code, answer = ask()
    assert code == 0
    assert answer.generation == 7
    assert (answer.identity, answer.description) == (program.identity(), program.description())
    assert answer.configuration["app"]["directory"] == str(tmp_path)
    assert state.read_release(answer.release).directory == str(tmp_path)


def test_a_wrong_configuration_is_refused(ask):
    def load():
        raise ConfigurationError(
            [Problem("shop.ini", 3, "app", "", "a"), Problem("shop.ini", 4, "", "", "b")]
        )

    assert ask(load) == (1, wire.PrepareRefused(generation=7, reason="shop.ini:3: [app]: a\nshop.ini:4: b"))


def test_a_directory_that_is_gone_is_refused(ask, tmp_path):
    code, answer = ask(lambda: configured(tmp_path / "gone"))
    assert (code, answer.reason) == (1, f"directory: {tmp_path}/gone does not exist")


def test_a_file_that_cannot_be_read_is_refused(ask, tmp_path):
    code, answer = ask((tmp_path / "gone").read_text)
    assert code == 1
    assert "No such file or directory" in answer.reason


def test_a_configuration_that_fits_no_answer_is_refused(ask, configuration):
    code, answer = ask(lambda: replace(configuration, environment={"HUGE": "x" * 200_000}))
    assert code == 1
    assert "more than the 196,608 of a packet" in answer.reason


def test_whoever_leaves_meanwhile_is_told_nothing(configuration):
    ours, theirs = channel.pair()
    with memfd.sealed("state", json.dumps(state_of(configuration)).encode()) as memory:
        ours.send(wire.Prepare(generation=7), [memory.fileno()])

    def load():
        ours.close()
        return configuration

    assert prepare(theirs.socket.detach(), load) == 1


def test_a_state_that_cannot_be_read_is_refused_before_the_configuration_is(ask, configuration):
    def load():
        raise AssertionError("nobody is to read it")

    code, answer = ask(load, document={**state_of(configuration), "format": 99})
    assert code == 1
    assert "it has the format 99" in answer.reason


@pytest.mark.parametrize("message", [wire.Drain(generation=1, serial=1), wire.Opened(generation=1)])
def test_whoever_asks_something_else_is_not_answered(ask, message):
    assert ask(message=message) == (70, None)


def test_whoever_has_left_is_not_answered(configuration):
    ours, theirs = channel.pair()
    ours.close()
    assert prepare(theirs.socket.detach(), lambda: configuration) == 70


def test_what_is_no_channel_is_an_error(tmp_path, configuration):
    with open(tmp_path / "file", "w") as file, pytest.raises(WireError, match="is not a channel"):
        prepare(Fd(file.fileno()).dup().steal(), lambda: configuration)
