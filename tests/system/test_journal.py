"""What is written to standard error and output, by sdserve and by the application, arrives in the journal."""

from __future__ import annotations

import pytest

from tests.system.instance import Instance
from tests.system.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def talkative(hello: Instance) -> Instance:
    """Return an instance whose application has said all it has to say."""
    hello.configure("flask_probe:app", "[workers]", "count = 1", "[log]", "access = yes")
    hello.listen()
    hello.start()
    assert hello.get("/say").text == "said"
    # The messages of one process arrive in their order, and the access log has the last.
    wait_for(lambda: "GET /say" in hello.journal(), what="the request is in the journal")
    return hello


def test_priorities_are_those_of_the_log_records(talkative: Instance) -> None:
    errors = talkative.journal("--priority=err")
    warnings = talkative.journal("--priority=warning")

    assert "an error" in errors
    assert "of two lines" in errors, "the priority is that of each line"
    assert "warned by the application" not in errors
    assert "warned by the application" in warnings
    assert "GET /say" not in warnings


def test_what_an_application_prints_is_there_at_once(talkative: Instance) -> None:
    wait_for(lambda: "printed by the application" in talkative.journal(), what="a print is in the journal")


def test_the_traceback_of_a_failed_request_is_an_error(hello: Instance) -> None:
    hello.configure("flask_probe:app", "[workers]", "count = 1")
    hello.listen()
    hello.start()
    assert hello.get("/raise").status == 500

    wait_for(
        lambda: "RuntimeError: the view has failed" in hello.journal("--priority=err"),
        what="it is in the journal",
    )
    assert "flask_probe.py" in hello.journal("--priority=err")


def test_no_message_carries_a_priority_in_its_text(talkative: Instance) -> None:
    assert not [line for line in talkative.journal().splitlines() if line.lstrip().startswith("<")]
