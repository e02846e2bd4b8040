"""What a connection offers to whoever answers: hints, trailers, failures, and how an answer is cut."""

from __future__ import annotations

import pytest

from sdserve.errors import LocalProtocolError
from tests.worker.answers import wsgi_hello
from tests.worker.exchanges import OK, answer_with
from tests.worker.serving import REQUEST

HTTP10 = b"GET / HTTP/1.0\r\n\r\n"
LINK = [(b"link", b"</a>; rel=preload")]


def test_early_hints_are_on_their_way_before_the_answer(serve):
    worker = serve(wsgi_hello)
    waiting = []

    def answer(protocol):
        waiting.append(protocol)
        protocol.send_early_hints(LINK)

    answer_with(worker, answer)
    client = worker.connect()
    client.send(REQUEST)
    assert client.head() == (103, {"link": "</a>; rel=preload"})
    worker.call(waiting[0].send_response, OK, [], b"hello", False)
    assert client.response().body == b"hello"


def test_http10_gets_no_early_hints(serve):
    worker = serve(wsgi_hello)

    def answer(protocol):
        protocol.send_early_hints(LINK)
        protocol.send_response(OK, [], b"hello", more=False)

    answer_with(worker, answer)
    assert worker.request(HTTP10).status == 200


def test_trailers_end_an_answer_in_chunks(serve):
    worker = serve(wsgi_hello)

    def answer(protocol):
        protocol.send_response(OK, [], b"hello", more=True)
        with pytest.raises(LocalProtocolError):
            protocol.send_trailers([(b"content-length", b"5")])
        protocol.send_trailers([(b"digest", b"x")])

    answer_with(worker, answer)
    client = worker.connect()
    for _ in range(2):
        client.send(REQUEST)
        client.head()
        assert client.chunk() == b"hello"
        assert client.read(16) == b"0\r\ndigest: x\r\n\r\n"
    assert worker.errors() == []


def test_trailers_of_an_answer_without_chunks_are_dropped(serve):
    worker = serve(wsgi_hello)

    def answer(protocol):
        protocol.send_response(OK, [(b"content-length", b"5")], b"hello", more=True)
        protocol.send_trailers([(b"digest", b"x")])

    answer_with(worker, answer)
    client = worker.connect()
    assert [client.request().body for _ in range(2)] == [b"hello"] * 2


@pytest.mark.parametrize(("retry_after", "told"), [(None, None), (0.2, "1"), (30, "30")])
@pytest.mark.parametrize("status", [503, 504])
def test_a_failure_may_say_when_to_try_again(serve, status, retry_after, told):
    worker = serve(wsgi_hello)
    answer_with(worker, lambda protocol: protocol.fail(status, retry_after))
    client = worker.connect()
    for _ in range(2):
        response = client.request()
        assert response.status == status
        assert response.fields.get("retry-after") == told


# An answer that only the end of the connection ends is cut by a reset: HTTP/1.0 has no other sign


def fails(protocol):
    protocol.fail()


def is_cut_off(protocol):
    protocol.abort()


@pytest.mark.parametrize("how", [fails, is_cut_off])
def test_a_reset_tells_http10_that_an_answer_is_not_complete(serve, how):
    worker = serve(wsgi_hello)

    def answer(protocol):
        protocol.send_response(OK, [], b"begun", more=True)
        how(protocol)

    answer_with(worker, answer)
    client = worker.connect()
    client.send(HTTP10)
    with pytest.raises(ConnectionResetError):
        client.rest()


@pytest.mark.parametrize("sent", ["silence", "end"])
def test_so_it_does_when_the_request_is_not_complete(serve, sent):
    worker = serve(wsgi_hello, body_timeout=0.1)
    answer_with(worker, lambda protocol: protocol.send_response(OK, [], b"begun", more=True), at_once=True)
    client = worker.connect()
    client.send(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nabc")
    if sent == "end":
        client.end()
    with pytest.raises(ConnectionResetError):
        client.rest()


def test_where_the_framing_tells_it_no_reset_is_needed(serve):
    """A reset would take what is on its way."""
    worker = serve(wsgi_hello)
    begun = []

    def answer(protocol):
        begun.append(protocol)
        protocol.send_response(OK, [], b"begun", more=True)

    answer_with(worker, answer)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    assert client.chunk() == b"begun"
    worker.call(begun[0].fail)
    assert client.rest() == b""


def test_an_answer_that_is_complete_is_not_reset(serve):
    worker = serve(wsgi_hello)

    def answer(protocol):
        protocol.send_response(OK, [], b"whole", more=True)
        protocol.send_data(b"", more=False)

    answer_with(worker, answer)
    client = worker.connect()
    assert client.request(HTTP10).body == b"whole"
