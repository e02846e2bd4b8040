"""What a site sees of a request, and what a client sees of an answer."""

from __future__ import annotations

import socket
import time
from email.utils import parsedate_to_datetime

import pytest

from tests.frameworks.apps import site
from tests.frameworks.cases import every_server, for_servers


def receive_until_closed(client):
    return b"".join(iter(lambda: client.recv(65536), b""))


@every_server
def test_a_route_answers(server):
    answer = server.request("GET", "/hello")
    assert answer.status == 200
    assert answer.text == site.GREETING
    assert answer.field("Content-Length") == str(len(site.GREETING))
    assert answer.field("Content-Type").startswith("text/")


@every_server
def test_an_answer_has_one_date_and_one_server_field(server):
    answer = server.request("GET", "/hello")
    age = time.time() - parsedate_to_datetime(answer.field("Date")).timestamp()
    assert abs(age) < 60
    assert answer.field("Server") == "sdserve"


@every_server
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/greet/Ada", "Ada"),
        ("/greet/J%C3%BCrgen", "Jürgen"),
        ("/greet/%E6%9D%8E", "李"),
        ("/greet/a%20b+c", "a b+c"),
        ("/greet/100%25", "100%"),
        ("/greet/%41%64%61", "Ada"),
        ("/greet/;v=1&x", ";v=1&x"),
    ],
)
def test_a_path_arrives_decoded(server, target, name):
    answer = server.request("GET", target)
    assert (answer.status, answer.text) == (200, f"Hello, {name}!")


@every_server
def test_a_query_arrives_as_it_was_sent(server):
    query = "q=caf%C3%A9&q=a+b&empty=&plus=%2B&percent=100%25"
    seen = server.request("GET", f"/inspect?{query}").json
    assert seen["query"] == query
    arguments = {name: values for name, values in seen["arguments"].items() if name != "empty"}
    assert arguments == {"q": ["café", "a b"], "plus": ["+"], "percent": ["100%"]}
    assert seen["path"] == "/inspect"


@every_server
def test_no_query_is_an_empty_one(server):
    assert server.request("GET", "/inspect").json["query"] == ""


@every_server
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_method_arrives(server, method):
    assert server.request(method, "/inspect").json["method"] == method


@every_server
def test_a_site_knows_its_client_and_itself(server, case):
    seen = server.request("GET", "/inspect", fields={"Host": "shop.example:8080"}).json
    assert seen["client"] == ("" if case.unix else "127.0.0.1")
    assert seen["scheme"] == "http"
    assert seen["host"] == "shop.example:8080"


@every_server
def test_a_field_that_comes_twice_arrives_in_order(server):
    with server.connection() as client:
        client.putrequest("GET", "/inspect")
        client.putheader("X-Tag", "one")
        client.putheader("X-Tag", "two")
        client.endheaders()
        assert b'"one,two"' in client.getresponse().read().replace(b"one, two", b"one,two")


@every_server
def test_fields_of_the_same_name_stay_apart_in_an_answer(server):
    cookies = server.request("GET", "/cookies").field_values("Set-Cookie")
    assert [cookie.partition(";")[0] for cookie in cookies] == ["flavour=vanilla", "topping=cherry"]


@every_server
def test_the_answer_to_head_has_the_fields_and_no_body(server):
    with server.connection() as client:
        asked = client.exchange("HEAD", "/hello")
        assert asked.status == 200
        assert asked.body == b""
        assert asked.field("Content-Length") == str(len(site.GREETING))
        # A body that came all the same would be read as the next answer.
        assert client.exchange("GET", "/hello").text == site.GREETING


@every_server
def test_an_unknown_path_is_not_found(server):
    answer = server.request("GET", "/nowhere")
    assert answer.status == 404


@every_server
def test_no_content_has_neither_body_nor_length(server):
    # RFC 9110 8.6: no Content-Length with 204. RFC 9112 6.1: no Transfer-Encoding either.
    with server.connection() as client:
        answer = client.exchange("GET", "/no-content")
        assert answer.status == 204
        assert answer.body == b""
        assert answer.field("Content-Length") is None
        assert answer.field("Transfer-Encoding") is None
        assert client.exchange("GET", "/hello").text == site.GREETING


@every_server
def test_a_connection_serves_many_requests(server):
    with server.connection() as client:
        own = client.sock
        for number in range(20):
            assert client.exchange("GET", f"/greet/{number}").text == f"Hello, {number}!"
        assert client.sock is own


@every_server
def test_pipelined_requests_are_answered_in_order(server):
    paths = [f"/greet/{number}" for number in range(10)]
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths]
    requests.append("GET /greet/end HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    with server.connect() as client:
        client.sendall("".join(requests).encode())
        received = receive_until_closed(client)
    positions = [received.index(f"Hello, {name}!".encode()) for name in [*range(10), "end"]]
    assert positions == sorted(positions)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 11


@every_server
def test_close_is_granted(server):
    with server.connect() as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = receive_until_closed(client)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert body == site.GREETING.encode()


@every_server
def test_http_1_0_is_answered_and_closed(server):
    with server.connect() as client:
        client.sendall(b"GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head, _, body = receive_until_closed(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head.lower()
    assert body == site.GREETING.encode()


# Django and Quart give up as soon as they are told that the client will send no more.
@for_servers(lambda case: case.site not in ("django-asgi", "quart"))
def test_a_client_that_stops_sending_still_gets_its_answer(server):
    with server.connect() as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert receive_until_closed(client).endswith(site.GREETING.encode())


@every_server
def test_a_broken_request_never_reaches_the_site(server):
    with server.connect() as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: one\r\n\r\n")
        assert receive_until_closed(client).startswith(b"HTTP/1.1 400 ")
    assert server.request("GET", "/hello").status == 200


@for_servers(lambda case: case.concurrent)
def test_two_requests_are_in_the_site_at_once(server):
    with server.connection() as first, server.connection() as second:
        first.request("GET", "/meet")
        assert second.exchange("GET", "/meet").text == "met"
        assert first.getresponse().read() == b"met"
