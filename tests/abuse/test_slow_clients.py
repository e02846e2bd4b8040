"""Clients that take their time, by the hundred: they hold nobody up, and not for ever."""

from __future__ import annotations

import pytest

from tests.abuse.crowd import Crowd
from tests.serving import TIMEOUT
from tests.system.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MANY = 300
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


def drops():
    """A byte now and then, without an end."""
    while True:
        yield b"x"


def statuses(crowd):
    return {answer[9:12] for answer in crowd.answers}


def test_heads_that_drip(abuse):
    """Slowloris: the deadline of a head is absolute, so bytes that arrive do not move it."""

    def attack(server, clients):
        begun = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
        with Crowd.of(server, clients, begun) as dripping, Crowd.of(server, clients) as silent:
            dripping.until_over(drops())
            assert statuses(dripping) == {b"408"}
            # Whoever has not even begun is told nothing.
            silent.until_over()
            assert set(silent.answers) == {b""}

    abuse(attack, MANY)


def test_bodies_that_stop(abuse):
    def attack(server, clients):
        length = HEAD + b"Content-Length: 100000\r\n\r\nxxxxx"
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1"
        with Crowd.of(server, clients, length) as one, Crowd.of(server, clients, chunked) as other:
            one.until_over()
            other.until_over()
            assert statuses(one) | statuses(other) == {b"408"}

    abuse(attack, MANY // 2)


def test_bodies_that_drip(abuse):
    """Each byte ends a silence; that there are too few of them counts as well."""

    def attack(server, clients):
        with Crowd.of(server, clients, HEAD + b"Content-Length: 100000\r\n\r\n") as crowd:
            crowd.until_over(drops())
            assert statuses(crowd) == {b"408"}

    abuse(attack, MANY)


def test_bodies_that_were_announced_and_never_come(abuse):
    """Whoever is asked to go on has to: it is its turn then."""

    def attack(server, clients):
        with Crowd.of(server, clients, HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n") as crowd:
            crowd.until_over()
            assert {answer[:25] for answer in crowd.answers} == {b"HTTP/1.1 100 Continue\r\n\r\n"}
            assert all(b"HTTP/1.1 408 " in answer for answer in crowd.answers)

    abuse(attack, MANY)


def test_clients_that_do_not_read_a_large_answer(abuse, patient):
    """The application waits instead of filling the memory, until the time to write is over."""

    def attack(server, clients):
        with Crowd.of(server, clients, receive_buffer=4096) as crowd:
            before = patient.memory
            crowd.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: patient.connections >= clients, what="all are served", seconds=TIMEOUT)
            wait_until_given_up(patient)
            # 32 MiB each, had they been answered as fast as the application can.
            assert patient.memory - before < clients * 1024 * 1024 + 16 * 1024 * 1024

    abuse(attack, 60)


def test_clients_that_send_ahead_and_do_not_read(abuse, patient):
    """What is sent ahead waits in the kernel, and so do the answers."""

    def attack(server, clients):
        with Crowd.of(server, clients, receive_buffer=4096) as crowd:
            before = patient.memory
            crowd.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100_000)
            wait_until_given_up(patient)
            assert patient.memory - before < clients * 1024 * 1024 + 16 * 1024 * 1024

    abuse(attack, 5)


def wait_until_given_up(patient):
    """Until the server has cut the crowd off; the canary has a connection or two at any time."""
    wait_for(lambda: patient.connections <= 2, what="nobody is waited for any more", seconds=TIMEOUT)
