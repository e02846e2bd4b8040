from __future__ import annotations

import logging
import sys

import pytest

from sdserve.cli.main import main
from sdserve.host.logs import StandardError
from sdserve.run import prepare as preparer
from sdserve.run import supervise as composition


@pytest.fixture
def supervised(monkeypatch):
    """Configurations that were to be served; the stand-in says that the service ended with code 7."""
    found = []

    def supervise(configuration, arguments):
        assert arguments == sys.argv[1:]
        found.append(configuration)
        return 7

    monkeypatch.setattr(composition, "supervise", supervise)
    return found


def test_it_serves_what_was_configured_and_returns_how_that_ended(shell, supervised, own_logs):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[log]\nlevel = warning\n")
    assert main(["run", "shop", "--workers", "2"]) == 7
    (configuration,) = supervised
    assert (configuration.name, configuration.app.application, configuration.fleet.count) == (
        "shop",
        "a:b",
        2,
    )


def test_the_log_is_written_before_anything_is_served(shell, supervised, own_logs):
    main(["run", "a:b", "--set", "log.level=warning"])
    logger = logging.getLogger("sdserve")
    assert logger.level == logging.WARNING
    assert any(isinstance(handler, StandardError) for handler in logger.handlers)


def test_nothing_is_served_with_a_wrong_configuration(shell, supervised):
    assert shell.run("run", "a:b", "--workers", "0")[0] == 78
    assert supervised == []


def test_what_another_program_has_handed_over_is_gone_on_with(shell, supervised, monkeypatch):
    documents = []

    def resume(document, arguments):
        assert arguments == sys.argv[1:]
        documents.append(document)
        return 8

    monkeypatch.setattr(composition, "handed_over", lambda: "document")
    monkeypatch.setattr(composition, "resume", resume)
    assert main(["run", "no-such-instance-any-more"]) == 8
    assert documents == ["document"]
    assert supervised == []


def test_the_preparer_reads_the_same_target_and_options(shell, supervised, monkeypatch):
    prepared = []

    def prepare(descriptor, load):
        prepared.append((descriptor, load()))
        return 9

    monkeypatch.setattr(preparer, "prepare", prepare)
    shell.write("etc/shop.ini", "[app]\napplication = c:d\n[workers]\ncount = 9\n")
    assert main(["run", "shop", "--workers", "2", "--preflight", "7"]) == 9
    [(descriptor, configuration)] = prepared
    assert (descriptor, configuration.app.application, configuration.fleet.count) == (7, "c:d", 2)
    shell.write("etc/shop.ini", "[app]\napplicatoin = c:d\n")
    assert main(["run", "shop", "--preflight", "7"]) == 78
    assert supervised == []


def test_the_preparer_is_nothing_for_people(shell):
    assert "preflight" not in "\n".join(shell.run("run", "--help")[1])
