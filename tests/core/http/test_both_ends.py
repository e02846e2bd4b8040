"""A client of another make at the other end: it has to read what we write."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.http.dialogue import Dialogue

BODIES = st.lists(st.binary(max_size=30), max_size=5)


class Pair:
    """An h11 client and our connection, joined without a network."""

    def __init__(self):
        self.client = h11.Connection(h11.CLIENT)
        self.server = Dialogue()

    def ask(self, method, fields, body):
        """Send a request; what the server makes of it."""
        sent = self.client.send(h11.Request(method=method, target="/", headers=[("Host", "a"), *fields]))
        for part in body:
            sent += self.client.send(h11.Data(data=part))
        sent += self.client.send(h11.EndOfMessage())
        request, *parts = self.server.receive(sent)
        return request, b"".join(parts)

    def hear(self, data):
        """The answer as the client understands it: status and body."""
        if data:
            self.client.receive_data(data)
        if self.server.connection.must_close:
            self.client.receive_data(b"")
        response = self.client.next_event()
        assert isinstance(response, h11.Response)
        body = b""
        while isinstance(event := self.client.next_event(), h11.Data):
            body += bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)
        return response.status_code, body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@settings(max_examples=60, deadline=None)
@given(
    asked=BODIES,
    chunked=st.booleans(),
    closing=st.booleans(),
    status=st.sampled_from([200, 204, 304, 404, 500]),
    parts=BODIES,
    told=st.booleans(),
    together=st.booleans(),
)
def test_two_exchanges(method, asked, chunked, closing, status, parts, told, together):
    pair = Pair()
    for last in (False, True):
        framing = (
            [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", str(len(b"".join(asked))))]
        )
        close = [("Connection", "close")] if closing and last else []
        request, body = pair.ask(method, framing + close, asked)
        assert (request.method, body) == (method, b"".join(asked))
        fields = [(b"content-length", b"%d" % len(b"".join(parts)))] if told else []
        if together:
            written = pair.server.start(status, fields, b"".join(parts))
        else:
            written = pair.server.start(status, fields, more=True)
            written += b"".join(pair.server.data(part) for part in parts)
            written += pair.server.data(b"", more=False)
        bodiless = method == "HEAD" or status in (204, 304)
        assert pair.hear(written) == (status, b"" if bodiless else b"".join(parts))
        assert pair.server.connection.complaint == ""
        must_close = pair.server.connection.must_close
        assert must_close is bool(close)
        assert pair.client.their_state is (h11.CLOSED if must_close else h11.DONE) or must_close
        if not must_close:
            pair.client.start_next_cycle()


def test_100_continue():
    pair = Pair()
    sent = pair.client.send(
        h11.Request(
            method="POST",
            target="/",
            headers=[("Host", "a"), ("Expect", "100-continue"), ("Content-Length", "3")],
        )
    )
    pair.server.receive(sent)
    assert pair.client.they_are_waiting_for_100_continue is False
    pair.client.receive_data(pair.server.connection.send_continue(pair.server.now))
    assert isinstance(pair.client.next_event(), h11.InformationalResponse)
    assert pair.server.receive(pair.client.send(h11.Data(data=b"abc"))) == [b"abc", b""]
    pair.client.send(h11.EndOfMessage())
    assert pair.hear(pair.server.start(body=b"done")) == (200, b"done")
