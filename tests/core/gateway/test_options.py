"""The options of an application and its workers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from sdserve.core.gateway.options import AppOptions, WorkerOptions


@pytest.mark.parametrize(("options", "name"), [(AppOptions(), "venv"), (WorkerOptions(), "loop")])
def test_options_are_values(options, name):
    with pytest.raises(FrozenInstanceError):
        setattr(options, name, "other")
