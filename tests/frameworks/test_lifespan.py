"""Start-up and shutdown of ASGI sites."""

from __future__ import annotations

import pytest

from tests.frameworks.cases import CASES, Case, for_servers
from tests.serving import ServerEndedError, serve

APPS = "tests.frameworks.apps.lifespans"


@for_servers(lambda case: case.lifespan)
def test_a_request_finds_what_start_up_left(server):
    assert server.request("GET", "/state").json == {"opened": "by lifespan"}


@for_servers(lambda case: case.site == "plain-asgi")
def test_a_request_leaves_nothing_for_the_next_one(server):
    assert server.request("GET", "/change-state").json == {"found": False}
    assert server.request("GET", "/change-state").json == {"found": False}


def first_of_each_site() -> dict[str, Case]:
    return {case.site: case for case in reversed(CASES) if case.lifespan}


@pytest.mark.parametrize("site", sorted(first_of_each_site()))
def test_start_up_comes_before_ready_and_shutdown_at_the_end(site):
    with serve(first_of_each_site()[site].application) as server:
        assert "site: start-up\n" in server.stderr()
        assert "site: shutdown\n" not in server.stderr()
        server.stop()
        assert "site: shutdown\n" in server.stderr()


def test_every_worker_starts_up_and_shuts_down_its_own():
    with serve("tests.frameworks.apps.plain_asgi:application", workers=2) as server:
        assert server.stderr().count("site: start-up\n") == 2
        server.stop()
        assert server.stderr().count("site: shutdown\n") == 2


def test_a_site_without_lifespan_is_served():
    with serve(f"{APPS}:refuses_with_exception") as server:
        assert server.request("GET", "/").text == "Hello, world!"


def test_a_site_whose_start_up_fails_is_not_served():
    with pytest.raises(ServerEndedError) as ended, serve(f"{APPS}:fails"):
        pass
    assert ended.value.status == 3
    assert "no database" in ended.value.stderr


def test_a_shutdown_that_fails_is_reported():
    with serve(f"{APPS}:fails_to_shut_down") as server:
        server.stop()
        assert "database busy" in server.stderr()
