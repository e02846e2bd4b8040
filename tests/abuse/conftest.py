"""One server for each interface, with short time-outs; its worker's health is checked after each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.abuse.canary import Canary
from tests.abuse.crowd import Crowd
from tests.abuse.patient import MEMORY, Patient
from tests.serving import serve

APPLICATION = "tests.abuse.application"
SETTINGS = {
    "http.head_timeout": "1s",
    "http.body_timeout": "1s",
    "http.body_min_rate": "1000",
    "http.write_timeout": "1s",
    "http.keepalive_timeout": "5s",
    "log.level": "warning",
}
RATIO = 200
"""How many times slower the median request of a client that behaves may be. Without abuse it takes a fraction
of a millisecond, so this is not about speed: a worker that waits for a bad client would take seconds."""


@pytest.fixture(scope="session", params=["wsgi", "asgi"])
def interface(request):
    return request.param


@pytest.fixture(scope="session")
def server(interface):
    with serve(f"{APPLICATION}:{interface}", interface=interface, settings=SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def patient(server):
    with Patient.of(server) as patient:
        warm_up(patient)
        yield patient


@pytest.fixture(scope="session")
def canary(server):
    canary = Canary(server.address)
    yield canary
    canary.close()


def warm_up(patient: Patient) -> None:
    """One of everything, so that caches are filled and modules imported."""
    for data in (
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ):
        with Crowd.of(patient.server, 20) as crowd:
            crowd.send(data)
            crowd.end()
            crowd.until_over()
    patient.note_condition()


@contextmanager
def watched(patient: Patient, canary: Canary, *, memory: int = MEMORY) -> Iterator[None]:
    """Abuse the patient in the block; the canary is asked before and during it, the patient afterwards."""
    with canary.flying() as quiet:
        pass
    with canary.flying() as abused:
        yield
    assert quiet.failures == []
    assert abused.failures == []
    assert abused.median < RATIO * quiet.median, (abused.median, quiet.median)
    patient.check_recovered(memory)


@pytest.fixture
def abuse(server, patient, canary):
    """Runs `attack(server, clients)` while the canary asks."""

    def abuse(attack, clients):
        with watched(patient, canary):
            attack(server, clients)

    return abuse
