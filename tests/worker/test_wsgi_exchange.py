"""What a WSGI application may say besides its answer, and what it may not: both ways of calling it."""

from __future__ import annotations

import threading

import pytest

from sdserve.worker.wsgi_exchange import GoneError
from tests.worker.answers import CHUNKED, PLAIN, Parts, Told
from tests.worker.answers import wsgi_hello as hello
from tests.worker.serving import REQUEST, TIMEOUT

LINK = ("Link", "</style.css>; rel=preload; as=style")
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"


# wsgi.early_hints


def test_hints_are_sent_before_the_response(serve, threads):
    seen = threading.Event()

    def application(environ, start_response):
        environ["wsgi.early_hints"]([LINK])
        environ["wsgi.early_hints"]([LINK])
        start_response("200 OK", PLAIN)
        yield b""
        environ["wsgi.early_hints"]([LINK])
        yield b"hello"
        environ["wsgi.early_hints"]([LINK])  # too late: nothing happens
        seen.set()

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(2):
        client.send(REQUEST)
        assert client.read(3 * len(HINTS)) == 3 * HINTS
        assert client.response().body == b"hello"
    assert seen.is_set()
    assert worker.errors() == []


def test_hints_are_nothing_to_http_1_0(serve, threads):
    def application(environ, start_response):
        environ["wsgi.early_hints"]([LINK])
        return hello(environ, start_response)

    worker = serve(application, threads=threads)
    assert worker.request(b"GET / HTTP/1.0\r\n\r\n").body == b"hello"
    assert worker.errors() == []


@pytest.mark.parametrize(
    "hint",
    [("Link", "a\r\nX: y"), ("Li nk", "a"), ("Content-Length", "1"), ("Upgrade", "x"), ("Link", b"a"), 1],
)
def test_a_bad_hint_is_raised_and_nothing_of_it_is_sent(serve, threads, hint):
    told = Told()

    def application(environ, start_response):
        try:
            environ["wsgi.early_hints"]([LINK, hint])
        except Exception as error:
            told(str(error))
        return hello(environ, start_response)

    worker = serve(application, threads=threads)
    assert worker.request().body == b"hello"
    assert told.next().startswith("the application sent ")
    assert worker.errors() == []


def test_hints_to_a_client_that_has_left(serve):
    go_on, called, ended = threading.Event(), Told(), Told()

    def application(environ, start_response):
        called(True)
        assert go_on.wait(TIMEOUT)
        environ["wsgi.early_hints"]([LINK])
        ended(True)
        return hello(environ, start_response)

    worker = serve(application, threads=2)
    client = worker.connect()
    client.send(REQUEST)
    assert called.next()
    client.reset()
    worker.wait_for(lambda: not worker.server._protocols)
    go_on.set()
    assert ended.next()
    assert worker.errors() == []


def interim_responses(client):
    """How many precede the answer, which is hello."""
    for count in range(MANY + 1):
        status, fields = client.head()
        if status == 200:
            assert client.read(int(fields["content-length"])) == b"hello"
            return count
        assert (status, set(fields)) == (103, {"link"})
    pytest.fail("more than were sent")


MANY = 2000
LARGE_LINK = ("Link", "</style.css>; x=" + "x" * 8000)


def test_hints_do_not_wait_for_a_client_that_does_not_read(serve, threads):
    sizes = []

    def application(environ, start_response):
        (protocol,) = worker.server._protocols
        for number in range(MANY):
            environ["wsgi.early_hints"]([LARGE_LINK])
            if threads > 1 and not number % 8:
                worker.settle()
        sizes.append(protocol.transport.get_write_buffer_size())
        return hello(environ, start_response)

    worker = serve(application, threads=threads, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    worker.wait_for(lambda: sizes)
    assert sizes[0] < 1_000_000
    assert 0 < interim_responses(client) < MANY // 2
    client.send(REQUEST)
    assert interim_responses(client) > 0
    assert worker.errors() == []


def test_hints_do_not_pile_up_in_front_of_a_loop_that_is_busy(serve):
    def application(environ, start_response):
        go_on = threading.Event()
        worker.loop.call_soon_threadsafe(go_on.wait, TIMEOUT)
        for _ in range(MANY):
            environ["wsgi.early_hints"]([LINK])
        go_on.set()
        return hello(environ, start_response)

    worker = serve(application, threads=2)
    client = worker.connect()
    for _ in range(2):
        client.send(REQUEST)
        assert 1 <= interim_responses(client) <= 16
    assert worker.errors() == []


# Hop-by-hop fields


@pytest.mark.parametrize(
    "field",
    [("Transfer-Encoding", "chunked"), ("Upgrade", "h2c"), ("Connection", "upgrade"), ("Trailer", "X")],
)
def test_a_field_of_the_connections_is_a_500(serve, threads, field):
    result = Parts([b"x"])

    def application(environ, start_response):
        start_response("200 OK", [field])
        return result

    worker = serve(application, threads=threads)
    response = worker.request()
    assert (response.status, set(response.fields)) == (
        500,
        {"content-type", "content-length", "date", "server"},
    )
    assert worker.errors() == ["GET /: the application raised"]
    (record,) = [record for record in worker.log.records if record.exc_info]
    assert field[0] in str(record.exc_info[1])


def test_an_application_that_swallows_the_refusal_has_not_started(serve, threads):
    """Nothing of what was refused is kept."""

    def application(environ, start_response):
        try:
            start_response("200 OK", [("Transfer-Encoding", "chunked")])
        except Exception:
            if environ["PATH_INFO"] == "/again":
                start_response("404 Not Found", PLAIN)
        return [b"x"]

    worker = serve(application, threads=threads)
    client = worker.connect()
    assert client.request().status == 500
    response = client.request(REQUEST.replace(b"/", b"/again", 1))
    assert (response.status, response.body) == (404, b"x")


@pytest.mark.parametrize(("value", "over"), [("close", True), ("Keep-Alive", False)])
def test_connection_close_is_honoured_and_keep_alive_goes_without_saying(serve, threads, value, over):
    def application(environ, start_response):
        start_response("200 OK", [("Connection", value)])
        return [b"x"]

    worker = serve(application, threads=threads)
    client = worker.connect()
    response = client.request()
    assert response.body == b"x"
    assert response.fields.get("connection") == ("close" if over else None)
    if over:
        assert client.is_over()
    else:
        assert client.request().body == b"x"
    assert worker.errors() == []


# Bodies that are cut short

BROKEN = {
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123456789",
    "chunk": CHUNKED + b"a\r\n123456789",
    "between-chunks": CHUNKED + b"9\r\n123456789\r\n",
    "last-chunk": CHUNKED + b"9\r\n123456789\r\n0\r\n",
    "large": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(99_999),
}


@pytest.mark.parametrize("leave", ["end", "close", "reset"])
@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_a_body_that_is_cut_short_does_not_reach_the_application(serve, threads, sent, leave):
    called = []

    def application(environ, start_response):
        called.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    worker = serve(application, threads=threads, body_memory=1000)
    client = worker.connect()
    client.send(sent)
    (protocol,) = worker.wait_for(lambda: list(worker.server._protocols))
    (spool,) = worker.wait_for(lambda: [protocol.exchange._spool] if protocol.exchange else [])
    worker.wait_for(lambda: spool.size)
    getattr(client, leave)()
    if leave == "end":
        assert client.is_over()
    assert worker.request(REQUEST.replace(b"/", b"/well", 1)).body == b"hello"
    assert called == ["/well"]
    assert spool._file is None or spool._file.closed
    assert worker.errors() == []


# close()


def test_close_is_called_where_the_head_is_refused(serve, threads):
    results = []

    def application(environ, start_response):
        start_response("200 OK", [("X", "a\nb")])
        results.append(Parts([b"x", b"y"]))
        return results[-1]

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(6):
        assert client.request().status == 500
    assert all(result.was_closed_once() for result in results)
    assert len(results) == 6


def test_close_that_cannot_be_looked_up_is_logged_and_no_more(serve, threads):
    class Result:
        def __iter__(self):
            return iter([b"x"])

        @property
        def close(self):
            raise ValueError

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return Result()

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(6):
        assert client.request().body == b"x"
    assert worker.errors() == ["GET /: close() of the application's iterable raised"] * 6


# write() where there is no place for it

FIRST, SECOND = REQUEST.replace(b"/", b"/first", 1), REQUEST.replace(b"/", b"/second", 1)


@pytest.mark.parametrize("parts", [[b"hel", b"lo"], [b"hello"], iter], ids=["two", "one", "written"])
def test_close_cannot_write_behind_the_end(serve, threads, parts):
    results = []

    def application(environ, start_response):
        write = start_response("200 OK", PLAIN)
        if parts is iter:
            write(b"hello")

        class Result(Parts):
            def close(self):
                super().close()
                write(b"behind the end")

        results.append(Result([] if parts is iter else parts))
        return results[-1]

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(6):
        assert client.request().body == b"hello"
    assert all(result.was_closed_once() for result in results)
    client.end()
    assert client.is_over()
    assert worker.errors() == ["GET /: close() of the application's iterable raised"] * 6


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("result", [[b"hello"], [b"hel", b"lo"]], ids=["one", "two"])
def test_the_write_of_another_request_is_refused(serve, threads, result, pipelined):
    """It raises in the request that calls it, whose own answer is then a 500 or what it makes of it."""
    kept = []

    def application(environ, start_response):
        write = start_response("200 OK", PLAIN)
        if environ["PATH_INFO"] == "/first":
            kept.append(write)
            return result
        if environ["PATH_INFO"] == "/catch":
            with pytest.raises(GoneError):
                kept[0](b"from elsewhere")
            return [b"caught"]
        if environ["PATH_INFO"] == "/begun":
            write(b"begun")
        kept[0](b"from elsewhere")
        return None

    worker = serve(application, threads=threads)
    client = worker.connect()
    requests = [FIRST, SECOND, REQUEST.replace(b"/", b"/catch", 1), REQUEST.replace(b"/", b"/begun", 1)]
    if pipelined:
        client.send(b"".join(requests))
    for number, (status, body) in enumerate(
        [(200, b"hello"), (500, b"500 Internal Server Error\n"), (200, b"caught")]
    ):
        if not pipelined:
            client.send(requests[number])
        response = client.response()
        assert (response.status, response.body) == (status, body)
    if not pipelined:
        client.send(requests[3])
    assert b"from elsewhere" not in client.rest_of_cut()
    assert worker.errors() == [f"GET /{path}: the application raised" for path in ("second", "begun")]


@pytest.mark.parametrize("end", ["return", "file", "raise"])
def test_a_thread_of_the_applications_that_writes_ends_with_the_answer(serve, tmp_path, end):
    """It waits for a client that does not read, and nobody waits for it."""
    refused, go_on = Told(), threading.Event()
    path = tmp_path / "file"
    path.write_bytes(b"file")

    def application(environ, start_response):
        write = start_response("200 OK", PLAIN)

        def write_on():
            try:
                for _ in range(1000):
                    write(bytes(65536))
            except GoneError as error:
                refused(error)

        threading.Thread(target=write_on, daemon=True).start()
        assert go_on.wait(TIMEOUT)
        if end == "raise":
            raise ValueError
        return environ["wsgi.file_wrapper"](path.open("rb")) if end == "file" else []

    worker = serve(application, threads=2, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    (exchange,) = worker.wait_for(lambda: list(worker.server.gateway.calls))
    worker.wait_for(lambda: exchange._owed and exchange._ahead._value == 0)
    go_on.set()
    if end == "file":
        client.head()
        assert set(b"".join(iter(client.chunk, b"")).split(b"\0")) == {b"", b"file"}
    assert refused.next()
    assert worker.errors() == (["GET /: the application raised"] if end == "raise" else [])
