"""Extensions of ASGI: https://asgi.readthedocs.io/en/stable/extensions.html."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading

import pytest

from sdserve.worker import asgi_files
from tests.worker.answers import START, Told, body, http_only
from tests.worker.serving import REQUEST, TIMEOUT

OLD = b"GET / HTTP/1.0\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
TE = b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"
LARGE = 3 * 1024 * 1024 + 17


def sending(*messages):
    """An application that sends these, one after the other."""

    @http_only
    async def application(scope, receive, send):
        for message in messages:
            await send(message)

    return application


def start(*fields, **keys):
    return {**START, "headers": list(fields), **keys}


def length(size):
    return (b"content-length", b"%d" % size)


def open_below(path):
    """What this process has open in a directory."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [name for name in found if name.startswith(f"{path}/")]


@pytest.fixture(autouse=True)
def no_file_left_open(tmp_path):
    """It comes first, so it is looked at last, when the servers have ended."""
    yield
    assert open_below(tmp_path) == []


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(LARGE))
    return path


# Early hints


def hint(*links):
    return {"type": "http.response.early_hint", "links": list(links)}


@pytest.mark.parametrize("first", [[START, hint(b"</a>", b"</b>")], [hint(b"</a>", b"</b>"), START]])
def test_an_early_hint_precedes_the_response(serve, first):
    client = serve(sending(*first, body(b"x"))).connect()
    client.send(REQUEST)
    assert [client.line() for _ in range(4)] == [
        b"HTTP/1.1 103 Early Hints\r\n",
        b"link: </a>\r\n",
        b"link: </b>\r\n",
        b"\r\n",
    ]
    assert client.response().body == b"x"


def test_an_early_hint_comes_too_late_in_the_middle_of_the_body(serve):
    worker = serve(sending(START, body(b"x", more=True), hint(b"</a>"), body(b"y")))
    assert worker.request().body == b"xy"
    assert worker.errors() == []


def test_early_hints_wait_for_a_client_that_does_not_read(serve):
    count, sent = 2000, []

    @http_only
    async def application(scope, receive, send):
        for number in range(count):
            await send(hint(b"x" * 8000))
            sent.append(number)
        await send(START)
        await send(body(b"hello"))

    worker = serve(application, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    worker.wait_for(lambda: [it for it in worker.server._protocols if it.write_paused])
    worker.settle()
    assert len(sent) < count / 4
    for _ in range(count):
        assert client.head()[0] == 103
    assert client.response().body == b"hello"


def test_early_hints_end_when_the_client_has_left(serve):
    @http_only
    async def application(scope, receive, send):
        async def send_for_ever():
            while True:
                await send(hint(b"x" * 8000))

        with pytest.raises(OSError, match="disconnected"):
            await send_for_ever()
        told("raised")

    told = Told()
    client = serve(application, send_buffer=65536).connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    client.reset()
    assert told.next() == "raised"


def test_an_old_client_gets_no_early_hint(serve):
    assert serve(sending(hint(b"</a>"), START, body(b"x"))).request(OLD).body == b"x"


# Trailers


def trailers(*fields, more=False):
    return {"type": "http.response.trailers", "headers": list(fields), "more_trailers": more}


ANNOUNCED = start(trailers=True)


@pytest.mark.parametrize("parts", [[body(b"x")], [body(b"x", more=True), body()]])
def test_trailers_follow_the_body(serve, parts):
    first, last = trailers((b"x-sum", b"1"), more=True), trailers((b"x-end", b"2"))
    client = serve(sending(ANNOUNCED, *parts, first, last)).connect()
    client.send(TE + REQUEST)
    status, fields = client.head()
    assert (status, fields["transfer-encoding"]) == (200, "chunked")
    assert client.read(6) == b"1\r\nx\r\n"
    assert [client.line() for _ in range(4)] == [b"0\r\n", b"x-sum: 1\r\n", b"x-end: 2\r\n", b"\r\n"]
    # Who does not ask for them does not get them.
    assert client.response().body == b"x"


@pytest.mark.parametrize(
    ("request_", "fields"), [(TE, [length(1)]), (OLD, []), (TE.replace(b"GET", b"HEAD"), [])]
)
def test_trailers_are_dropped_where_nothing_is_sent_in_chunks(serve, request_, fields):
    worker = serve(sending(start(*fields, trailers=True), body(b"x"), trailers((b"x-sum", b"1"))))
    client = worker.connect()
    response = client.request(request_)
    assert response.body == (b"" if request_.startswith(b"HEAD") else b"x")
    client.end()
    assert client.is_over()
    assert worker.errors() == []


def test_announced_trailers_that_never_come_leave_the_response_incomplete(serve):
    worker = serve(sending(ANNOUNCED, body(b"x")))
    client = worker.connect()
    client.send(TE)
    assert not client.rest_of_cut().endswith(b"0\r\n\r\n")
    assert worker.errors() == ["GET /: the application returned without a complete response"]


@pytest.mark.parametrize("field", [(b"content-length", b"1"), (b"x", b"y\r\nz: w"), (b"bad name", b"")])
def test_bad_trailers_leave_the_response_incomplete(serve, field):
    worker = serve(sending(ANNOUNCED, body(b"x"), trailers(field)))
    client = worker.connect()
    client.send(TE)
    assert not client.rest_of_cut().endswith(b"\r\n\r\n0\r\n\r\n")
    (text,) = worker.errors()
    assert text.startswith("GET /: the application sent ")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([START, trailers()], "http.response.trailers before the body"),
        ([ANNOUNCED, body(b"x", more=True), trailers()], "http.response.trailers in the middle of the body"),
        ([ANNOUNCED, body(b"x"), body(b"y")], "http.response.body where http.response.trailers is due"),
        ([ANNOUNCED, body(), hint()], "http.response.early_hint where http.response.trailers is due"),
        ([START, body(b"x"), trailers()], "http.response.trailers after the response was complete"),
    ],
)
def test_trailers_out_of_order(serve, messages, text):
    worker = serve(sending(*messages))
    client = worker.connect()
    client.send(TE)
    client.end()
    client.rest_of_cut()
    assert worker.errors() == [f"GET /: the application sent {text}"]


# Files


def path_send(path):
    return {"type": "http.response.pathsend", "path": str(path)}


@pytest.mark.parametrize("fields", [[], [length(LARGE)]], ids=["added", "given"])
def test_a_path_is_sent_with_its_length(serve, file, fields):
    worker = serve(sending(start(*fields), path_send(file)))
    client = worker.connect()
    for _ in range(2):
        response = client.request()
        assert response.fields["content-length"] == str(LARGE)
        assert response.body == file.read_bytes()
    assert worker.errors() == []


@pytest.mark.parametrize("request_", [HEAD, OLD])
def test_a_path_for_other_requests(serve, file, request_):
    response = serve(sending(START, path_send(file))).request(request_)
    assert response.fields["content-length"] == str(LARGE)
    assert response.body == (b"" if request_ is HEAD else file.read_bytes())


def test_an_empty_file(serve, tmp_path):
    (tmp_path / "empty").touch()
    client = serve(sending(START, path_send(tmp_path / "empty"))).connect()
    for _ in range(2):
        assert client.request().fields["content-length"] == "0"


def test_a_path_with_trailers(serve, file):
    client = serve(sending(ANNOUNCED, path_send(file), trailers((b"x-sum", b"1")))).connect()
    client.send(TE)
    _, fields = client.head()
    assert "content-length" not in fields
    received = bytearray()
    while size := int(client.line(), 16):
        received += client.read(size)
        client.line()
    assert received == file.read_bytes()
    assert [client.line(), client.line()] == [b"x-sum: 1\r\n", b"\r\n"]


def test_whoever_waits_in_receive_learns_when_the_file_is_sent(serve, file):
    @http_only
    async def application(scope, receive, send):
        await receive()
        leaving = asyncio.ensure_future(receive())
        await send(START)
        await send(path_send(file))
        told((await leaving)["type"])

    told = Told()
    assert serve(application).request().body == file.read_bytes()
    assert told.next() == "http.disconnect"


@pytest.mark.parametrize(
    ("path", "error"), [("/no/such/file", "FileNotFoundError"), ("relative", "LocalProtocolError")]
)
def test_a_path_that_cannot_be_opened_is_the_applications_to_handle(serve, path, error):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        try:
            await send(path_send(path))
        except Exception as raised:
            await send(body(type(raised).__name__.encode()))

    assert serve(application).request().body == error.encode()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused(serve, tmp_path, make):
    make(tmp_path / "other")
    worker = serve(sending(START, path_send(tmp_path / "other")))
    assert worker.request().status == 500
    assert worker.errors() == ["GET /: the application sent a file that is not a regular one"]


def test_a_file_shorter_than_its_content_length_cuts_the_connection(serve, tmp_path):
    (tmp_path / "short").write_bytes(b"x" * 10)
    worker = serve(sending(start(length(20)), path_send(tmp_path / "short")))
    client = worker.connect()
    client.send(REQUEST)
    assert client.rest_of_cut().count(b"x") <= 10
    assert len(worker.errors()) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_in_the_middle_of_a_file(serve, file, how):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        try:
            await send(path_send(file))
        except OSError as error:
            told(str(error))
            raise

    told = Told()
    worker = serve(application, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    getattr(client, how)()
    assert told.next() == "the client has disconnected"
    assert worker.errors() == []


def test_a_call_that_is_cancelled_in_the_middle_of_a_file_cuts_the_connection(serve, file):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        sending = asyncio.ensure_future(send(path_send(file)))
        told(sending)
        await sending

    told = Told()
    worker = serve(application, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    worker.call(told.next().cancel)
    assert len(client.rest_of_cut()) < LARGE
    assert len(worker.errors()) == 1


@pytest.mark.parametrize("message", [body(b"x"), path_send("/x"), {**START}, hint()])
def test_nothing_else_is_sent_while_a_file_is(serve, file, message):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        sending = asyncio.ensure_future(send(path_send(file)))
        await asyncio.sleep(0)
        with pytest.raises(Exception, match=r"while a file is being sent|a second http.response.start"):
            await send(message)
        await sending

    worker = serve(application)
    assert worker.request().body == file.read_bytes()
    assert len(worker.errors()) == 1


def test_a_call_that_is_cancelled_while_a_file_is_opened_leaves_none_open(serve, file, monkeypatch):
    open_path, opened = asgi_files._open_path, []
    release = threading.Event()

    def open_late(path):
        assert release.wait(TIMEOUT)
        opened.append(open_path(path))
        return opened[0]

    @http_only
    async def application(scope, receive, send):
        await send(START)
        sending = asyncio.ensure_future(send(path_send(file)))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        release.set()
        async with asyncio.timeout(TIMEOUT):
            while not opened or "closed" not in repr(opened[0].descriptor):
                await asyncio.sleep(0)
        await send(body(b"something else"))

    monkeypatch.setattr(asgi_files, "_open_path", open_late)
    assert serve(application).request().body == b"something else"


def part(file, **keys):
    return {"type": "http.response.zerocopysend", "file": file, **keys}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, slice(7, None)),
        ({"offset": 100}, slice(100, None)),
        ({"offset": 100, "count": 50}, slice(100, 150)),
        ({"count": 50}, slice(7, 57)),
        ({"offset": LARGE + 1}, slice(LARGE, None)),
    ],
)
def test_a_part_of_an_open_file(serve, file, keys, expected):
    data = file.read_bytes()[expected]
    with file.open("rb") as opened:
        opened.seek(7)
        response = serve(sending(START, part(opened, **keys))).request()
        assert (response.fields["content-length"], response.body) == (str(len(data)), data)


def test_parts_of_files_among_others(serve, file):
    data = file.read_bytes()
    with file.open("rb") as opened:
        one = part(opened, offset=0, count=100_000, more_body=True)
        two = part(opened, offset=100_000, count=100_000)
        response = serve(sending(START, one, body(b"between", more=True), two)).request()
        assert response.fields["transfer-encoding"] == "chunked"
        assert response.body == data[:100_000] + b"between" + data[100_000:200_000]


@pytest.mark.parametrize("keys", [{"offset": -1}, {"count": -1}])
def test_a_part_that_no_file_has(serve, file, keys):
    with file.open("rb") as opened:
        worker = serve(sending(START, part(opened, **keys)))
        assert worker.request().status == 500
        (text,) = worker.errors()
        assert text.startswith("GET /: the application sent a part of a file at ")


def test_an_application_may_close_its_file_when_its_call_is_cancelled(serve, file):
    @http_only
    async def application(scope, receive, send):
        await send(START)
        with file.open("rb") as opened:
            sending = asyncio.ensure_future(send(part(opened)))
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])
        told("closed")
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass

    told = Told()
    worker = serve(application)
    client = worker.connect()
    client.send(REQUEST)
    assert told.next() == "closed"
    assert client.response().body == file.read_bytes()


def test_an_early_hint_and_a_file_and_the_next_request(serve, file):
    client = serve(sending(hint(b"</a>"), START, path_send(file))).connect()
    client.send(REQUEST * 3)
    for _ in range(3):
        assert client.head()[0] == 103
        assert client.response().body == file.read_bytes()
