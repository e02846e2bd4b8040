import logging

import pytest

from sdserve.cli.main import main
from sdserve.errors import ConfigurationError
from sdserve.host.logs import StandardError
from sdserve.run import supervise as composition


class Found(list):
    """Configurations, and how to read the last one again."""

    reading = None


@pytest.fixture
def supervised(monkeypatch):
    """Configurations that were to be served; the stand-in says that the service ended with code 7."""
    found = Found()

    def supervise(configuration, read_again):
        found.append(configuration)
        found.reading = read_again
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


def test_a_reload_reads_the_same_target_and_options_again(shell, supervised, own_logs):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n")
    main(["run", "shop", "--workers", "2"])
    shell.write("etc/shop.ini", "[app]\napplication = c:d\n[workers]\ncount = 9\n")
    again = supervised.reading()
    assert (again.app.application, again.fleet.count) == ("c:d", 2)
    shell.write("etc/shop.ini", "[app]\napplicatoin = c:d\n")
    with pytest.raises(ConfigurationError, match="applicatoin"):
        supervised.reading()
