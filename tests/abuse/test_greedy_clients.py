"""Clients that send too much, too many, or rubbish."""

from __future__ import annotations

import resource

import pytest

from tests.abuse.canary import Canary
from tests.abuse.conftest import APPLICATION, SETTINGS, warm_up, watched
from tests.abuse.crowd import Crowd
from tests.abuse.patient import Patient
from tests.serving import serve

pytestmark = [pytest.mark.slow, pytest.mark.alone]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n"
IDLE = 10_000
SPARE_DESCRIPTORS = 500
CONNECTION_MEMORY = 32 * 1024
"""Bytes that an idle connection may need."""


def test_broken_requests(abuse):
    broken = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"\0" * 1000,
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET /" + b"a" * 20_000,
    ]

    def attack(server, clients):
        for data in broken:
            with Crowd.of(server, clients // len(broken)) as crowd:
                crowd.send(data)
                crowd.until_over()
                assert {answer[9:12] for answer in crowd.answers} <= {b"400", b"414"}

    abuse(attack, 300)


def test_requests_sent_ahead_by_the_thousand(abuse):
    """Each is answered, in order, and others have their turn (CVE-2019-16770, CVE-2026-54273)."""
    each = 2000

    def attack(server, clients):
        with Crowd.of(server, clients) as crowd:
            for _ in range(each // 100):
                crowd.send_all(GET * 100)
            crowd.end()
            crowd.until_over()
            assert [answer.count(ANSWER) for answer in crowd.answers] == [each] * clients

    abuse(attack, 5)


def test_bodies_in_chunks_of_one_byte(abuse):
    """CVE-2025-69229: the work is linear in the bytes."""
    size = 60_000

    def attack(server, clients):
        with Crowd.of(server, clients) as crowd:
            crowd.send_all(POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(size // 1000):
                crowd.send_all(b"1\r\nx\r\n" * 1000)
            crowd.send_all(b"0\r\n\r\n")
            crowd.until_over()
            assert all(answer.startswith(ANSWER) and b"%d" % size in answer for answer in crowd.answers)

    abuse(attack, 4)


def test_heads_byte_by_byte_up_to_the_limit(abuse):
    """A head of 60 KiB in pieces of 64 bytes: each byte is looked at a bounded number of times."""

    def attack(server, clients):
        with Crowd.of(server, clients) as crowd:
            crowd.send_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
            for number in range(90):
                for piece in (b"X-%d: " % number, *[b"y" * 64] * 10, b"\r\n"):
                    crowd.send_all(piece)
            crowd.send_all(b"\r\n")
            crowd.until_over()
            assert {answer[9:12] for answer in crowd.answers} == {b"200"}

    abuse(attack, 4)


def test_a_flood_of_connections(interface):
    """Those above the limit wait in the backlog, and come in as the others go."""
    settings = {**SETTINGS, "http.max_connections": "50"}
    with (
        serve(f"{APPLICATION}:{interface}", interface=interface, settings=settings) as server,
        Patient.of(server) as patient,
    ):
        warm_up(patient)
        with Crowd.of(server, 150) as crowd:
            crowd.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            highest = 0

            def look():
                nonlocal highest
                while True:
                    highest = max(highest, patient.connections)
                    yield b""

            crowd.until_over(look())
            assert {answer[9:12] for answer in crowd.answers} == {b"200"}
            assert highest <= 50
        patient.check_recovered()


def test_idle_connections_by_the_thousand(interface):
    """As many as there are descriptors for, up to ten thousand; a client that behaves does not notice."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = min(IDLE, soft - SPARE_DESCRIPTORS)
    if clients < 500:
        pytest.skip(f"RLIMIT_NOFILE is {soft}")
    settings = {**SETTINGS, "http.keepalive_timeout": "5m"}

    with (
        serve(f"{APPLICATION}:{interface}", interface=interface, settings=settings, unix=True) as server,
        Patient.of(server) as patient,
    ):
        warm_up(patient)
        canary = Canary(server.address)
        try:
            with watched(patient, canary, memory=clients * CONNECTION_MEMORY), Crowd.of(server, 0) as crowd:
                before = patient.memory
                for _ in range(0, clients, 500):
                    crowd.grow(500, GET)
                    crowd.until_received(len(ANSWER))
                assert patient.connections >= clients
                assert patient.memory - before < clients * CONNECTION_MEMORY
        finally:
            canary.close()
