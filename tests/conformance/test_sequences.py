"""What may follow what on one connection: after a fault, after a body, after the last request."""

from __future__ import annotations

import pytest

from tests.conformance.combinations import Witness, every_combination

pytestmark = every_combination

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n"
SMUGGLED = GET % (b"/smuggled", b"")
POST = b"POST %b HTTP/1.1\r\nHost: a\r\n%b\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def length(size):
    return b"Content-Length: %d\r\n" % size


@pytest.fixture
def witness():
    return Witness()


@pytest.fixture
def client(combination, witness, tmp_path):
    with combination.serve(tmp_path, witness) as worker:
        yield worker.connect()


def paths(witness):
    return [seen.path for seen in witness.seen]


BROKEN_BEHIND_GOOD = {
    # RFC 9112 section 6.3: what stands behind a body begins a request, and these are none.
    "a fixed length": (POST % (b"/1", length(5)) + b"helloX\r\n\r\n", 1),
    "chunks": (POST % (b"/1", CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n0\r\n\r\n", 1),
    "a length of zero": (POST % (b"/1", length(0)) + b"a=b\r\n\r\n", 1),
    "no length": (GET % (b"/1", b"") + b"a=b\r\n\r\n", 1),
    "two requests": (GET % (b"/1", b"") + GET % (b"/2", b"") + b"GET /3 HTTP/1.1\r\n\r\n", 2),
    # More good ones than are answered in one go.
    "a hundred requests": (GET % (b"/1", b"") * 100 + GET % (b"/2", b"X : y\r\n"), 100),
}


@pytest.mark.parametrize("behind", BROKEN_BEHIND_GOOD)
def test_a_fault_ends_the_connection_behind_good_answers(client, witness, behind):
    data, good = BROKEN_BEHIND_GOOD[behind]
    client.send(data + SMUGGLED)
    assert [client.response().status for _ in range(good + 1)] == [200] * good + [400]
    assert client.rest() == b""
    assert len(witness.seen) == good


CLOSING = {
    "close": b"Connection: close\r\n",
    "in capitals": b"Connection: CLOSE\r\n",
    "in a list": b"TE: x\r\nConnection: te ,\tClose\r\n",
    "on a second line": b"Connection: keep-alive\r\nConnection: close\r\n",
    "before keep-alive": b"Connection: close, keep-alive\r\n",
}


@pytest.mark.parametrize("how", CLOSING)
def test_behind_a_request_that_closes_nothing_is_served(client, witness, how):
    """RFC 9112 section 9.6; llhttp's lenient_data_after_close."""
    client.send(GET % (b"/last", CLOSING[how]) + SMUGGLED)
    response = client.response()
    assert (response.status, response.fields["connection"]) == (200, "close")
    assert client.rest() == b""
    assert paths(witness) == [b"/last"]


def test_http_1_0_does_not_persist_by_itself(client, witness):
    client.send(b"GET /last HTTP/1.0\r\n\r\n" + SMUGGLED)
    assert client.response().status == 200
    assert client.rest() == b""
    assert paths(witness) == [b"/last"]


def test_a_body_that_looks_like_a_request_is_a_body(client, witness):
    client.send(POST % (b"/1", length(len(SMUGGLED))) + SMUGGLED + GET % (b"/2", b"Connection: close\r\n"))
    assert [client.response().status for _ in range(2)] == [200, 200]
    assert client.rest() == b""
    assert [(seen.path, seen.body) for seen in witness.seen] == [(b"/1", SMUGGLED), (b"/2", b"")]


def test_pipelined_answers_come_in_order(client, witness):
    """RFC 9112 section 9.3.2, with bodies of all kinds between the requests."""
    requests = [
        [GET % (b"/%d" % number, b""), POST % (b"/%d" % number, length(5)) + b"hello",
         POST % (b"/%d" % number, CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n"][number % 3]
        for number in range(50)
    ]  # fmt: skip
    client.send(b"".join(requests))
    assert [client.response().status for _ in requests] == [200] * 50
    assert paths(witness) == [b"/%d" % number for number in range(50)]


def test_head_is_answered_without_a_body_so_the_next_answer_follows_its_head(client, witness):
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + GET % (b"/", b"Connection: close\r\n"))
    assert [client.response("HEAD").body for _ in range(3)] == [b""] * 3
    assert client.response().body == b"seen"
    assert client.rest() == b""


def test_who_waits_for_100_is_asked_to_go_on(client, witness):
    """RFC 9110 section 10.1.1; a 1xx has neither a body nor a length."""
    client.send(POST % (b"/", b"Expect: 100-continue\r\n" + length(5)))
    assert client.head() == (100, {})
    client.send(b"hello")
    assert client.response().status == 200
    assert [seen.body for seen in witness.seen] == [b"hello"]


def test_an_expectation_is_ignored_in_http_1_0(client, witness):
    client.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    client.send(b"hello")
    assert client.response().status == 200
    assert client.rest() == b""


def test_every_answer_has_its_date(client, witness):
    """RFC 9110 section 6.6.1, also where the answer is our own."""
    client.send(GET % (b"/", b"") + GET % (b"/", b"X : y\r\n"))
    for status in (200, 400):
        response = client.response()
        assert response.status == status
        assert response.fields["date"].endswith(" GMT")
