"""What tests of several rooms need."""

from __future__ import annotations

import logging

import pytest

from sdserve.host.logs import StandardError


@pytest.fixture
def own_logs():
    """Lets a test call `logs.configure` as a process does that has just begun, and undoes it."""
    names = ["", "sdserve", "sdserve.access"]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
    for logger in loggers:
        logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, StandardError)]
    yield logging.getLogger("sdserve")
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers = handlers
        logger.disabled = False
