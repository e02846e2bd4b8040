"""One case of the corpus as a dialogue with a running server: what is sent, and what has to come back."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote_to_bytes

from sdserve.core.http.connection import CONTINUE
from tests.conformance.combinations import Combination, Seen, Witness
from tests.core.http.cases import Case
from tests.core.http.feeding import NEXT, Message, read
from tests.worker.serving import Client, Response, Worker

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
"""What an attacker hides behind a broken request."""
SEGMENTS = 6
"""Pieces that a case is cut into at the most, where it arrives in pieces."""


class Served:
    """All cases of one test, on one server for those without limits of their own."""

    def __init__(self, combination: Combination, directory: Path, worker: Worker, witness: Witness) -> None:
        self._combination = combination
        self._directory = directory
        self._worker = worker
        self._witness = witness

    def failures(
        self,
        cases: list[Case],
        *,
        hold: Callable[[Case, Dialogue], None] | None = None,
        segments: bool = False,
    ) -> dict[str, str]:
        """Hold all dialogues; the names of the cases that went wrong, and what was.

        Without `hold` a case is sent as it is; with `segments` it arrives in pieces.
        """
        failures = {}
        for case in cases:
            try:
                with self._server_for(case) as (worker, witness):
                    witness.forget()
                    client = worker.connect()
                    try:
                        (hold or hold_whole)(case, Dialogue(worker, client, witness, case, segments=segments))
                    finally:
                        client.close()
                        worker.settle()
            except (AssertionError, OSError, ValueError) as error:
                failures[case.name] = repr(error)
        return failures

    @contextmanager
    def _server_for(self, case: Case) -> Iterator[tuple[Worker, Witness]]:
        if not case.options:
            yield self._worker, self._witness
            return
        witness = Witness()
        with self._combination.serve(self._directory, witness, **case.options) as worker:
            yield worker, witness


class Dialogue:
    """A client, its server, and what the application has seen."""

    def __init__(
        self, worker: Worker, client: Client, witness: Witness, case: Case, *, segments: bool
    ) -> None:
        self.client = client
        self.witness = witness
        self._worker = worker
        if client.socket.family == socket.AF_INET:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each piece on its own
        # The same cuts in every run and for every server.
        self._random = random.Random(case.name) if segments else None

    def send(self, data: bytes) -> None:
        """All at once, or in pieces of which each has been read before the next one is sent."""
        if self._random is None:
            self.client.send(data)
            return
        cuts = sorted(self._random.sample(range(1, len(data)), min(SEGMENTS, len(data)) - 1))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            try:
                self.client.send(data[start:end])
            except (BrokenPipeError, ConnectionResetError):
                return  # refused in the middle and closed; the answer was sent before
            self._worker.settle()

    def settle(self) -> None:
        """Return when the application has been told everything: an answer of ours may overtake that."""
        self._worker.settle()

    def response(self, method: str) -> Response:
        """The next final response, which has to say its length."""
        status, fields = self.client.head()
        if status == 100:
            status, fields = self.client.head()
        body = b"" if method == "HEAD" else self.client.read(int(fields["content-length"]))
        return Response(status, fields, body)


def hold_whole(case: Case, dialogue: Dialogue) -> None:
    """Send the case, and check the answers and what the application was told."""
    messages = read(case.options_for("strict"), [case.data]).messages
    if case.status:
        _hold_invalid(case, messages, dialogue)
    else:
        _hold_valid(case, messages, dialogue)


def _hold_valid(case: Case, messages: list[Message], dialogue: Dialogue) -> None:
    dialogue.send(case.data + NEXT)
    for expected in case.requests:
        method = expected.line.split(" ")[0]
        response = dialogue.response(method)
        assert (response.status, response.body) == (200, b"" if method == "HEAD" else b"seen")
    persists = messages[-1].request.keep_alive
    if persists:
        assert dialogue.response("GET").status == 200
        dialogue.client.end()
    assert dialogue.client.rest() == b""
    dialogue.settle()
    wanted = _wanted(case, messages)
    if persists:
        wanted.append(Seen("GET", b"/next", b"", "HTTP/1.1", b""))
    assert dialogue.witness.seen == wanted


def _wanted(case: Case, messages: list[Message]) -> list[Seen]:
    """What the application has to see of the case; what the case does not say is the parser's word."""
    wanted = []
    for expected, message in zip(case.requests, messages, strict=True):
        method, _, version = expected.line.split(" ")
        request = message.request
        wanted.append(Seen(method, unquote_to_bytes(request.path), request.query, version, expected.body))
    return wanted


def _hold_invalid(case: Case, messages: list[Message], dialogue: Dialogue) -> None:
    dialogue.send(case.data + SMUGGLED)
    complete = [message for message in messages if message.end_at is not None]
    for message in complete:
        assert dialogue.response(message.request.method).status == 200
    response = dialogue.response("GET")
    assert response.status == case.status
    assert response.fields["connection"] == "close"
    assert response.fields["content-type"].startswith("text/plain")
    # Exactly one answer, in full and without a reset, and nothing behind it.
    assert dialogue.client.rest() == b""
    dialogue.settle()
    assert [seen.method for seen in dialogue.witness.seen] == [message.request.method for message in complete]
    # The one whose body is broken may have been begun: ASGI hands out bodies as they come.
    assert len(dialogue.witness.begun) in (len(complete), len(messages))
    assert all(path != b"/smuggled" for _, path in dialogue.witness.begun)


def hold_cut_short(case: Case, dialogue: Dialogue) -> None:
    """Send the beginning of a valid case: what is incomplete was never asked (RFC 9112 section 8)."""
    sent = case.data[: random.Random(case.name).randrange(1, len(case.data))]
    messages = read(case.options_for("strict"), [sent]).messages
    complete = [message for message in messages if message.end_at is not None]
    dialogue.send(sent)
    dialogue.client.end()
    for message in complete:
        assert dialogue.response(message.request.method).status == 200
    rest = dialogue.client.rest()
    # Whoever waits for it has been asked for the body that did not come.
    assert rest in (b"", CONTINUE), rest
    dialogue.settle()
    assert len(dialogue.witness.seen) == len(complete)


def hold_and_go_on_sending(case: Case, dialogue: Dialogue) -> None:
    """Send an invalid case and much behind it: no reset may take the answer away (RFC 9112 section 9.6)."""
    messages = read(case.options_for("strict"), [case.data]).messages
    dialogue.send(case.data + SMUGGLED)
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(4):
            dialogue.client.send(b"x" * 16384)
    for message in messages:
        if message.end_at is not None:
            assert dialogue.response(message.request.method).status == 200
    assert dialogue.response("GET").status == case.status
    assert dialogue.client.rest() == b""
