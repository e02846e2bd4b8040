"""Two of a kind on two releases, each on one of them.

What an application is does not matter to a service manager, nor does its release to an application: all four
would show no more, and each of them boots a machine.
"""

from __future__ import annotations

import pytest

from tests.system.releases import RELEASES


def one_each(name: str, first: object, second: object) -> pytest.MarkDecorator:
    """Have a test run twice: with `first` as its argument `name`, and with `second` on the other release."""
    pairs = [(RELEASES[0], first), (RELEASES[1], second)]
    return pytest.mark.parametrize(("release", name), pairs, indirect=["release"], ids=_id)


def _id(value: object) -> str:
    return getattr(value, "name", str(value))
