"""One connection of the client: requests out, answers in, and the truth about its end."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from tests.load.answers import Answer, AnswerReader, GarbledError
from tests.load.report import Ending, Outcome
from tests.load.requests import Request

_AT_ONCE = 0.1
"""Seconds: a connection closed so soon after an answer was closed because of it."""


class Observer(Protocol):
    """Who is told what becomes of a connection and its requests."""

    def answered(self, connection: Connection, request: Request, answer: Answer) -> None:
        """A right answer has come, whole."""

    def failed(self, connection: Connection, request: Request, outcome: Outcome, text: str) -> None:
        """A request has ended in another way; the connection is over."""

    def ended(self, connection: Connection, ending: Ending, *, reset: bool) -> None:
        """The server has ended the connection, or is about to."""


class Connection(asyncio.Protocol):
    """Requests are answered in order; more than one at a time is pipelining."""

    def __init__(self, observer: Observer, loop: asyncio.AbstractEventLoop) -> None:
        self._observer = observer
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiting: deque[Request] = deque()
        self._answered_at = 0.0
        self.over = False
        """No request can be sent any more."""
        self.port = 0
        """The client's; 0 before there is a connection."""
        self.pid = ""
        """Which process gave the last answer."""

    @property
    def usable(self) -> bool:
        """Whether the next request would be sent at once and answered first."""
        return not self.over and not self._waiting

    def send(self, *requests: Request) -> None:
        assert self._transport is not None
        self._waiting.extend(requests)
        self._transport.write(b"".join([request.data for request in requests]))

    def close(self) -> None:
        """End it from this side; what is still waited for is forgotten."""
        self.over = True
        self._waiting.clear()
        if self._transport is not None:
            self._transport.close()

    def give_up(self, outcome: Outcome, text: str) -> None:
        """End it from this side because of what the server does; all that was waited for has failed."""
        if not self.over:
            self._fail_all(outcome, outcome, text)
            if self._transport is not None:
                self._transport.abort()

    # From the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while not self.over and self._waiting and (answer := self._reader.next()) is not None:
                self._take(answer)
        except GarbledError as error:
            self.give_up(Outcome.WRONG, str(error))
        if not self.over and not self._waiting and self._reader.begun:
            self._observer.ended(self, Ending.STRAY, reset=False)
            self.give_up(Outcome.WRONG, "")

    def eof_received(self) -> bool:
        self._ended_by_server(reset=False, text="")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended_by_server(reset=exc is not None, text=str(exc or ""))

    # What it means

    def _take(self, answer: Answer) -> None:
        request = self._waiting[0]
        self.pid = answer.fields.get("x-pid", "")
        if answer.status != 200:
            self.give_up(Outcome.STATUS, f"{answer.status} {answer.body[:200]!r}")
        elif fault := request.fault_of(answer):
            self.give_up(Outcome.WRONG, fault)
        else:
            self._waiting.popleft()
            self._answered_at = self._loop.time()
            self._observer.answered(self, request, answer)
            if answer.announces_close:
                if not request.last:
                    self._observer.ended(self, Ending.ANNOUNCED, reset=False)
                self.give_up(Outcome.CLOSED, "the answer to the request before announced it")

    def _ended_by_server(self, *, reset: bool, text: str) -> None:
        if self.over:
            return
        if self._waiting:
            ending = Ending.BUSY
        elif self._loop.time() - self._answered_at < _AT_ONCE:
            ending = Ending.AFTER_ANSWER
        else:
            ending = Ending.IDLE
        self._observer.ended(self, ending, reset=reset)
        if reset:
            self._fail_all(Outcome.RESET, Outcome.RESET, text)
        else:
            first = Outcome.SHORT if self._reader.begun else Outcome.CLOSED
            self._fail_all(first, Outcome.CLOSED, text)

    def _fail_all(self, first: Outcome, others: Outcome, text: str) -> None:
        self.over = True
        outcome = first
        while self._waiting:
            self._observer.failed(self, self._waiting.popleft(), outcome, text)
            outcome = others
