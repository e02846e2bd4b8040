from __future__ import annotations

from dataclasses import replace

import pytest

from sdserve.config.changes import needing_restart
from sdserve.config.load import load
from sdserve.config.model import Listener
from sdserve.config.target import find_target

HTTP = Listener(name="http", addresses=("127.0.0.1:80",))
ADMIN = Listener(name="admin", addresses=("127.0.0.1:81",))


@pytest.fixture
def configuration():
    """Makes a configuration with these listeners."""
    empty = load(find_target("shop:app")).configuration
    return lambda *listeners: replace(empty, listen=listeners)


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ((HTTP, ADMIN), []),
        ((ADMIN, HTTP), []),
        ((HTTP,), ["listen:admin"]),
        ((HTTP, ADMIN, Listener(name="more")), ["listen:more"]),
        ((replace(HTTP, addresses=()), ADMIN), ["listen:http.address"]),
        ((replace(HTTP, backlog=1, mode=0), ADMIN), ["listen:http.backlog", "listen:http.mode"]),
    ],
)
def test_what_changed_of_the_listeners_is_named(configuration, after, changed):
    assert needing_restart(configuration(HTTP, ADMIN), configuration(*after)) == changed


def test_what_a_reload_changes_is_not_named(configuration):
    before = configuration(HTTP)
    after = replace(before, log=replace(before.log, level="debug"), environment={"A": "b"})
    assert needing_restart(before, after) == []
