"""Close codes: RFC 6455 section 7.4, and what Autobahn asks for in 7.7 and 7.9."""

from __future__ import annotations

import pytest

from sdserve.core.websocket.codes import may_be_sent


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_registered_code_may_be_sent(code):
    assert may_be_sent(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_any_other_code_may_not(code):
    assert not may_be_sent(code)
