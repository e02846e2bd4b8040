"""Sites that are imported once, before the workers are forked."""

from __future__ import annotations

import pytest

from tests.frameworks.apps import site
from tests.frameworks.cases import CASES, Case
from tests.serving import serve


def one_of_each_site() -> dict[str, Case]:
    return {case.site: case for case in reversed(CASES)}


@pytest.mark.parametrize("name", sorted(one_of_each_site()))
def test_a_preloaded_site_answers_from_all_workers(name):
    case = one_of_each_site()[name]
    interface = "auto" if case.shows_interface else case.interface
    preload = {"app.preload": "yes"}
    with serve(case.application, workers=2, interface=interface, settings=preload) as server:
        for _ in range(10):
            assert server.request("GET", "/hello").text == site.GREETING
