from __future__ import annotations

import pytest

from sdserve.host.control_client import RefusedError


def test_scaling_asks_for_a_number(shell, instance):
    assert shell.run("scale", "shop", "4") == (0, [], [])
    assert instance.calls == [("shop", "Scale", {"count": 4}, None)]


@pytest.mark.parametrize("count", ["0", "1025", "-1", "many", "1.5", "", "²", "10000000000"])
def test_a_number_that_is_none_is_refused(shell, instance, count):
    assert shell.run("scale", "shop", "--", count)[0] == 2
    assert instance.calls == []


def test_scaling_may_fail(shell, instance):
    instance.answer = RefusedError("stopping")
    assert shell.run("scale", "shop", "4") == (1, [], ["stopping"])
