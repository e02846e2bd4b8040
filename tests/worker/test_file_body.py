"""Files as bodies: in order, in parts, and with nothing left behind whatever happens on the way."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest

from tests.worker.answers import Told, wsgi_hello
from tests.worker.exchanges import OK, answer_with
from tests.worker.serving import REQUEST, TIMEOUT

HTTP10 = b"GET / HTTP/1.0\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = os.urandom(3_000_000)


@pytest.fixture
def file(tmp_path):
    """A function that makes a file and returns its descriptor."""
    opened = []

    def make(content):
        path = tmp_path / str(len(opened))
        path.write_bytes(content)
        opened.append(os.open(path, os.O_RDWR))
        return opened[-1]

    yield make
    for descriptor in opened:
        os.close(descriptor)


def sending(file, offset, count, *, length=True, more=False):
    """An answer that is a part of `file`, and what was told of its end."""
    told = Told()

    def answer(protocol):
        fields = [(b"content-length", b"%d" % count)] if length else []
        protocol.send_response(OK, fields, b"", more=True)

        def done(error):
            told(error)
            if more:
                protocol.send_data(b"!", more=False)

        protocol.send_file(file, offset, count, more, done)

    return answer, told


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(("offset", "count"), [(0, 10), (3, 4), (9, 1), (5, 0)])
@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("request_bytes", [REQUEST, HTTP10, HEAD])
def test_a_part_of_a_file(serve, file, offset, count, length, request_bytes):
    worker = serve(wsgi_hello)
    answer, told = sending(file(b"0123456789"), offset, count, length=length)
    answer_with(worker, answer)
    client = worker.connect()
    body = b"" if request_bytes is HEAD else b"0123456789"[offset : offset + count]
    assert client.request(request_bytes).body == body
    assert told.next() is None
    if request_bytes is HTTP10:
        assert client.is_over()
    else:
        assert client.request(request_bytes).body == body
    assert worker.errors() == []


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("unix", [False, True])
def test_a_large_file_in_full(serve, file, length, unix, tmp_path):
    worker = serve(
        wsgi_hello, unix=str(tmp_path / "socket") if unix else "", send_buffer=65536, max_output=1024
    )
    answer, told = sending(file(LARGE), 0, len(LARGE), length=length)
    exchange_told = answer_with(worker, answer)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST * 2)
    for _ in range(2):
        assert client.response().body == LARGE
        assert told.next() is None
    # While a file is sent it is not the exchange's turn.
    exchange_told("nothing else")
    assert exchange_told.next() == "nothing else"


def test_what_follows_a_file(serve, file):
    worker = serve(wsgi_hello)
    answer, told = sending(file(LARGE), 0, len(LARGE), length=False, more=True)
    answer_with(worker, answer)
    assert worker.request().body == LARGE + b"!"
    assert told.next() is None


def test_more_than_the_content_length_is_cut(serve, file):
    worker = serve(wsgi_hello)
    content = file(b"0123456789")

    def answer(protocol):
        protocol.send_response(OK, [(b"content-length", b"4")], b"", more=True)
        protocol.send_file(content, 0, 10, False, lambda _: None)

    answer_with(worker, answer)
    client = worker.connect()
    assert [client.request().body for _ in range(2)] == [b"0123"] * 2
    assert "more than its Content-Length" in worker.errors()[0]


def test_less_than_the_content_length_ends_the_connection(serve, file):
    worker = serve(wsgi_hello)
    content = file(b"0123456789")

    def answer(protocol):
        protocol.send_response(OK, [(b"content-length", b"14")], b"", more=True)
        protocol.send_file(content, 0, 10, False, lambda _: None)

    answer_with(worker, answer)
    client = worker.connect()
    client.send(REQUEST)
    assert client.head()[1]["content-length"] == "14"
    assert client.rest() == b"0123456789"
    assert "4 bytes less than its Content-Length" in worker.errors()[0]


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("request_bytes", [REQUEST, HTTP10])
def test_a_file_that_is_too_short_cuts_the_connection(serve, file, length, request_bytes):
    worker = serve(wsgi_hello)
    answer, told = sending(file(b"0123456789"), 0, 20, length=length)
    exchange_told = answer_with(worker, answer)
    client = worker.connect()
    client.send(request_bytes)
    assert not client.rest_of_cut().endswith(b"0\r\n\r\n")
    assert isinstance(told.next(), OSError)
    assert exchange_told.next() == "disconnected"
    assert worker.errors() == ["a file cannot be sent to its end: the file ends 10 bytes too early"]


def test_a_file_that_cannot_be_read_cuts_the_connection(serve, tmp_path):
    worker = serve(wsgi_hello)
    directory = os.open(tmp_path, os.O_RDONLY)
    answer, told = sending(directory, 0, 20)
    answer_with(worker, answer)
    client = worker.connect()
    client.send(REQUEST)
    client.rest_of_cut()
    assert isinstance(told.next(), IsADirectoryError)
    assert len(worker.errors()) == 1
    os.close(directory)


def test_a_file_without_sendfile_is_read(serve, file, monkeypatch):
    def sendfile(*_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", sendfile)
    worker = serve(wsgi_hello)
    answer, told = sending(file(LARGE), 0, len(LARGE))
    answer_with(worker, answer)
    assert worker.request().body == LARGE
    assert told.next() is None


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("leave", ["close", "reset", "abort"])
def test_nothing_is_left_when_the_connection_goes_in_the_middle(serve, file, length, leave):
    worker = serve(wsgi_hello, send_buffer=65536)
    answer, told = sending(file(LARGE), 0, len(LARGE), length=length)
    exchange_told = answer_with(worker, answer)
    worker.connect().close()
    worker.settle()
    before = descriptors()
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    assert client.read(1000)
    if leave == "abort":
        (protocol,) = worker.server._protocols
        worker.call(protocol.abort)
    getattr(client, "reset" if leave == "reset" else "close")()
    assert isinstance(told.next(), ConnectionError)
    assert exchange_told.next() == "disconnected"
    worker.settle()
    assert descriptors() == before
    assert worker.errors() == []


@pytest.mark.parametrize("length", [True, False])
def test_a_client_that_does_not_take_the_file_is_given_up(serve, file, length):
    worker = serve(wsgi_hello, send_buffer=65536, write_timeout=0.2)
    answer, told = sending(file(LARGE), 0, len(LARGE), length=length)
    answer_with(worker, answer)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    assert isinstance(told.next(), ConnectionError)


def test_a_client_that_takes_the_file_slowly_gets_it_all(serve, file):
    size = len(LARGE)
    worker = serve(wsgi_hello, send_buffer=32768, write_timeout=0.3, body_min_rate=200_000)
    answer, _ = sending(file(LARGE), 0, size)
    answer_with(worker, answer)
    client = worker.connect(receive_buffer=32768)
    client.send(REQUEST)
    client.head()
    received = b""
    while len(received) < size:
        received += client.read(min(20_000, size - len(received)))
        threading.Event().wait(0.01)
    assert received == LARGE


def test_a_drain_lets_a_file_finish(serve, file):
    worker = serve(wsgi_hello, send_buffer=65536)
    answer, _ = sending(file(LARGE), 0, len(LARGE))
    answer_with(worker, answer)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    worker.drain()
    assert client.rest() == LARGE
    worker.wait_until_drained()


@pytest.mark.parametrize(("length", "most"), [(True, 262_144), (False, 65_536)])
def test_large_files_leave_others_their_turn(serve, file, monkeypatch, length, most):
    """However fast the client reads, a turn of the loop sends no more than a part."""
    turns = []
    sent = []
    counted = {name: getattr(os, name) for name in ("sendfile", "pread")}

    def sendfile(out, file, offset, count):
        sent.append((len(turns), count))
        return counted["sendfile"](out, file, offset, count)

    def pread(file, count, offset):
        sent.append((len(turns), count))
        return counted["pread"](file, count, offset)

    monkeypatch.setattr(os, "sendfile", sendfile)
    monkeypatch.setattr(os, "pread", pread)
    worker = serve(wsgi_hello)
    answer, told = sending(file(LARGE), 0, len(LARGE), length=length)
    over = []

    def count_turns():
        turns.append(1)
        if not over:
            worker.loop.call_soon(count_turns)

    answer_with(worker, lambda protocol: (count_turns(), answer(protocol)))
    assert worker.request().body == LARGE
    over.append(told.next())
    assert max(count for _, count in sent) == most
    # Two parts may share a turn of the counter, being on either side of it.
    assert len({turn for turn, _ in sent}) >= len(sent) // 2


def test_a_client_that_takes_the_file_in_drips_is_given_up(serve, file):
    worker = serve(wsgi_hello, send_buffer=65536, write_timeout=0.3, body_min_rate=1_000_000)
    answer, told = sending(file(LARGE), 0, len(LARGE))
    over = []
    exchange_told = answer_with(worker, answer)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)

    def wait_for_the_end():
        over.append(told.next())

    waiter = threading.Thread(target=wait_for_the_end, daemon=True)
    waiter.start()
    for _ in range(500):
        if over:
            break
        with suppress(ConnectionResetError):
            client.socket.recv(2000)
        waiter.join(0.02)
    assert isinstance(over[0], ConnectionError)
    assert exchange_told.next() == "disconnected"


def test_what_is_sent_of_files_is_in_the_access_log(serve, file):
    worker = serve(wsgi_hello, access=True)
    answer, _ = sending(file(LARGE), 0, 1_000_000)
    answer_with(worker, answer)
    client = worker.connect()
    client.request()
    client.request(HEAD)
    worker.errors()
    get, head = (text for text in worker.log.texts() if "HTTP/1.1" in text)
    assert '"GET / HTTP/1.1" 200 1000000 ' in get
    assert '"HEAD / HTTP/1.1" 200 0 ' in head


def test_no_descriptor_to_wait_with_is_no_end(serve, file, monkeypatch):
    worker = serve(wsgi_hello, send_buffer=65536)
    answer, told = sending(file(LARGE), 0, len(LARGE))
    answer_with(worker, answer)
    client = worker.connect(receive_buffer=65536)
    refused = threading.Event()

    def dup(_):
        refused.set()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "dup", dup)
    client.send(REQUEST)
    assert refused.wait(TIMEOUT)
    monkeypatch.undo()
    assert client.response().body == LARGE
    assert told.next() is None


def test_a_file_without_anybody_to_send_it_to(serve):
    """An exchange that was told of the end may come too late with its file."""
    worker = serve(wsgi_hello)
    told = Told()

    def answer(protocol):
        protocol.send_response(OK, [], b"", more=True)
        protocol.abort()
        protocol.send_file(0, 0, 10, False, told)

    answer_with(worker, answer)
    client = worker.connect()
    client.send(REQUEST)
    assert isinstance(told.next(), ConnectionError)
    client.rest_of_cut()
