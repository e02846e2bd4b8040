"""Clients that leave early, in order or without good-bye, in each phase of a request."""

from __future__ import annotations

import pytest

from tests.abuse.crowd import Crowd

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MANY = 100
GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"

PHASES = {
    "connected": b"",
    "in the request line": b"GET / HT",
    "in the head": b"GET / HTTP/1.1\r\nHost: a\r\nX",
    "in a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello",
    "in a chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "asked to go on": b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "while the application works": GET % b"/work",
    "before the answer is read": GET % b"/",
    "between pipelined requests": GET % b"/" * 50,
}
WAYS = {"in order": Crowd.leave, "without good-bye": Crowd.reset}


@pytest.mark.parametrize("way", WAYS)
def test_leaving_in_each_phase(abuse, way):
    def attack(server, clients):
        for begun in PHASES.values():
            with Crowd.of(server, clients, begun) as crowd:
                WAYS[way](crowd)

    abuse(attack, MANY)


@pytest.mark.parametrize("way", WAYS)
def test_leaving_in_the_middle_of_an_answer(abuse, way):
    def attack(server, clients):
        for path in (b"/stream", b"/large"):
            with Crowd.of(server, clients, GET % path) as crowd:
                crowd.until_received(150)
                WAYS[way](crowd)

    abuse(attack, 40)


def test_those_that_send_no_more_are_answered(abuse):
    """A half-closed connection is no busy loop and no leak (CVE-2024-49769)."""

    def attack(server, clients):
        with Crowd.of(server, clients, GET % b"/work") as crowd:
            crowd.end()
            crowd.until_over()
            assert {answer[9:12] for answer in crowd.answers} == {b"200"}

    abuse(attack, MANY)


def test_those_that_send_no_more_in_the_middle_are_closed_at_once(abuse):
    def attack(server, clients):
        for phase in ("in the head", "in a body", "in a chunk"):
            with Crowd.of(server, clients, PHASES[phase]) as crowd:
                crowd.end()
                crowd.until_over()
                assert set(crowd.answers) == {b""}

    abuse(attack, MANY)
