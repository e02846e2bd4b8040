"""Exchanges that a test writes itself, to see what a connection does for a gateway."""

from __future__ import annotations

from sdserve.core.http.response import status_line
from tests.worker.answers import Told

OK = status_line(200)


class Answering:
    """Calls `answer(protocol)` when the request is complete, and tells what happens to the exchange."""

    def __init__(self, protocol, answer, told):
        self._protocol = protocol
        self._answer = answer
        self._told = told

    def body_received(self, data):
        pass

    def body_ended(self):
        if self._answer is not None:
            self._answer(self._protocol)

    def writable(self):
        self._told("writable")

    def client_left(self):
        pass

    def disconnected(self):
        self._told("disconnected")


def answer_with(worker, answer, *, at_once=False):
    """Let `answer(protocol)`, called on the loop's thread, answer all requests; what exchanges were told.

    With `at_once` it is called before the request's body is here.
    """
    told = Told()

    def begin(protocol, request):
        protocol.exchange = Answering(protocol, None if at_once else answer, told)
        if at_once:
            answer(protocol)
        elif not request.length:
            protocol.exchange.body_ended()

    worker.call(setattr, worker.server.gateway, "begin", begin)
    return told
