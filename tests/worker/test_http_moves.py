"""Connections that move from a server that drains to another one, both in this process."""

from __future__ import annotations

import threading

import pytest

from sdserve.host import scoreboard
from tests.worker.moving import Held, get, named, named_async, wait_until
from tests.worker.serving import REQUEST, TIMEOUT

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


# What moves, and when


@pytest.mark.parametrize("transport", ["tcp", "ipv6", "unix"])
def test_an_idle_connection_moves_and_its_client_notices_nothing(pair, make, transport, tmp_path):
    options = {"ipv6": True} if transport == "ipv6" else {}
    if transport == "unix":
        options["paths"] = (str(tmp_path / "old"), str(tmp_path / "new"))
    old, new, heir = pair(make(b"old"), make(b"new"), **options)
    client = old.connect()
    assert client.request(get(b"/1")).body == b"old/1"
    old.drain(heir())
    old.wait_until_drained()
    response = client.request(get(b"/2"))
    assert response.body == b"new/2"
    assert "connection" not in response.fields
    assert old.row.words[scoreboard.HANDED_OVER] == new.row.words[scoreboard.ADOPTED] == 1
    assert new.row.words[scoreboard.CONNECTIONS] == 1
    assert old.row.words[scoreboard.CONNECTIONS] == 0


def test_one_of_http_1_0_moves_as_well(pair, make):
    old, _, heir = pair(make(b"old"), make(b"new"))
    client = old.connect()
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert client.request(request).body == b"old/"
    old.drain(heir())
    response = client.request(request)
    assert (response.body, response.fields["connection"]) == (b"new/", "keep-alive")


def test_one_that_has_not_asked_yet_moves(pair, make):
    old, _, heir = pair(make(b"old"), make(b"new"))
    client = old.connect()
    old.settle()
    old.drain(heir())
    old.wait_until_drained()
    assert client.request().body == b"new/"


@pytest.mark.parametrize("cut", [1, 10, len(REQUEST) - 1])
def test_the_beginning_of_a_head_moves_along(pair, make, cut):
    old, _, heir = pair(make(b"old"), make(b"new"))
    client = old.connect()
    client.send(REQUEST[:cut])
    wait_until(lambda: old.call(lambda: any(one.connection.unused for one in old.server._protocols)))
    old.drain(heir())
    old.wait_until_drained()
    assert client.request(REQUEST[cut:]).body == b"new/"


def test_one_with_a_request_in_flight_moves_after_the_answer(pair):
    held = Held()
    old, _, heir = pair({"application": held}, {"application": named_async(b"new")})
    client = old.connect()
    client.send(REQUEST)
    assert held.reached.wait(TIMEOUT)
    old.drain(heir())
    old.call(held.go_on.set)
    response = client.response()
    assert response.body == b"old"
    assert "connection" not in response.fields
    old.wait_until_drained()
    assert client.request().body == b"new/"


def test_requests_that_were_sent_ahead_are_answered_once_and_in_order(pair):
    held = Held()
    old, _, heir = pair({"application": held}, {"application": named_async(b"new")})
    client = old.connect()
    client.send(REQUEST + get(b"/2") + get(b"/3"))
    assert held.reached.wait(TIMEOUT)
    old.drain(heir())
    client.send(get(b"/4"))
    old.call(held.go_on.set)
    assert [client.response().body for _ in range(4)] == [b"old", b"new/2", b"new/3", b"new/4"]
    old.wait_until_drained()


def test_requests_that_are_answered_on_the_spot_move_between_two_of_them(pair):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/drain":
            old.loop.call_soon(old.server.drain, heir())
        return named(b"old")({**environ, "PATH_INFO": "/"}, start_response)

    old, _, heir = pair({"application": application}, {"application": named(b"new")}, max_pipelined=4)
    client = old.connect()
    client.send(REQUEST * 10 + get(b"/drain") + REQUEST * 89)
    words = [client.response().body for _ in range(100)]
    assert words.count(b"old/") < 20
    assert words == sorted(words, reverse=True), "the old one first, and then only the new one"
    assert words[-1] == b"new/"
    old.wait_until_drained()


def test_an_answer_is_sent_to_its_end_before_its_connection_moves(pair):
    size = 8 * 1024 * 1024
    held = Held(size)
    old, _, heir = pair(
        {"application": held}, {"application": named_async(b"new")}, send_buffer=4096, max_output=2 * size
    )
    client = old.connect(receive_buffer=4096)
    client.send(REQUEST)
    assert held.reached.wait(TIMEOUT)
    old.drain(heir())
    old.call(held.go_on.set)
    status, fields = client.head()
    old.settle()
    assert old.row.words[scoreboard.HANDED_OVER] == 0
    assert client.read(int(fields["content-length"])) == b"old" + b"x" * size
    old.wait_until_drained()
    assert (status, client.request().body) == (200, b"new/")


def test_a_body_that_arrives_is_served_first(pair, make):
    old, _, heir = pair(make(b"old"), make(b"new"))
    client = old.connect()
    client.send(POST + b"a")
    old.settle()
    old.drain(heir())
    assert client.request(b"bc").body == b"old/abc"
    old.wait_until_drained()
    assert client.request().body == b"new/"


def test_the_rest_of_a_body_that_nobody_wants_does_not_move(pair):
    async def answers_at_once(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"old"})

    old, _, heir = pair({"application": answers_at_once}, {"application": named_async(b"new")})
    client = old.connect()
    assert client.request(POST + b"a").body == b"old"
    old.drain(heir())
    client.send(b"bc")
    assert client.request().body in (b"old", b"new/")
    old.wait_until_drained()
    assert client.request().body == b"new/"


def test_one_that_is_to_be_closed_is_closed(pair):
    held = Held()
    old, new, heir = pair({"application": held}, {"application": named_async(b"new")})
    client = old.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert held.reached.wait(TIMEOUT)
    old.drain(heir())
    old.call(held.go_on.set)
    assert client.response().body == b"old"
    assert client.is_over()
    old.wait_until_drained()
    assert new.row.words[scoreboard.ADOPTED] == 0


def test_its_time_goes_on_where_it_moved_to(pair, make):
    old, _, heir = pair(make(b"old"), make(b"new"), keepalive_timeout=0.3)
    client = old.connect()
    client.request()
    old.drain(heir())
    assert client.rest() == b""
    old.wait_until_drained()


def test_the_application_sees_the_same_client(pair):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['REMOTE_ADDR']} {environ['REMOTE_PORT']} {environ['SERVER_PORT']}".encode()]

    old, _, heir = pair({"application": application}, {"application": application})
    client = old.connect()
    before = client.request().body
    old.drain(heir())
    old.wait_until_drained()
    assert client.request().body == before


def test_a_drain_says_so_to_the_application(serve):
    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            assert not scope["state"]["sdserve.draining"].is_set()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await scope["state"]["sdserve.draining"].wait()
        await send({"type": "http.response.body", "body": b" ended"})

    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    assert client.chunk() == b"begun"
    worker.drain()
    assert client.chunk() == b" ended"
    worker.wait_until_drained()


def test_a_wsgi_application_can_ask(serve, threads):
    answers = []

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        answers.append(environ["sdserve.draining"]())
        worker.loop.call_soon_threadsafe(worker.server.drain)
        while threads > 1 and not environ["sdserve.draining"]():
            pass
        yield b"ended"

    worker = serve(application, threads=threads)
    assert worker.request().body == b"begunended"
    assert answers == [False]
    worker.wait_until_drained()


def test_a_stream_is_told_that_its_time_is_up(pair):
    told = threading.Event()

    async def stream(scope, receive, send):
        assert scope["type"] == "http"
        assert (await receive())["type"] == "http.request"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        told.set()
        await send({"type": "http.response.body", "body": b" ended"})

    old, _, heir = pair(
        {"application": stream}, {"application": named_async(b"new")}, workers={"drain_soft": 0.1}
    )
    client = old.connect()
    client.send(REQUEST)
    client.head()
    old.drain(heir())
    assert b"".join(iter(client.chunk, b"")) == b"begun ended"
    assert told.is_set()
    old.wait_until_drained()
    assert client.request().body == b"new/"


def test_who_has_not_begun_to_answer_is_not_told(serve):
    application = Held()
    worker = serve(application, workers={"drain_soft": 0.0})
    client = worker.connect()
    client.send(REQUEST)
    assert application.reached.wait(TIMEOUT)
    worker.drain()
    wait_until(lambda: worker.server._soft_deadline > 1e9)
    worker.call(application.go_on.set)
    assert client.response().body == b"old"
    worker.wait_until_drained()
