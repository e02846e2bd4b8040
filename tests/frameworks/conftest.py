"""Each server is started once, for all tests of all files here: pytest sorts them by it."""

from __future__ import annotations

import os

import pytest

from tests.frameworks.apps.site import DeliberateError
from tests.serving import serve

EXPECTED_TRACEBACKS = (
    DeliberateError.__name__,
    "HTTPNotFound",  # Pyramid looks for a view for the former and has none
)


class Gate:
    """What a site waits for in the middle of an answer: a FIFO, which works for every process and thread."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = str(path)
        # Open at both ends, so that nobody waits for anybody to open it.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def open(self):
        os.write(self._descriptor, b"!")

    def close(self):
        """A site that still waits gets end of file and goes on."""
        os.close(self._descriptor)


@pytest.fixture(scope="session")
def case(request):
    return request.param


@pytest.fixture(scope="session")
def server(case):
    with serve(
        case.application,
        threads=case.threads,
        interface="auto" if case.shows_interface else case.interface,
        settings=case.settings,
        unix=case.unix,
        tracebacks=EXPECTED_TRACEBACKS,
    ) as running:
        yield running


@pytest.fixture
def gate(tmp_path):
    opened = Gate(tmp_path / "gate")
    yield opened
    opened.close()
