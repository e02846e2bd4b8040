"""`wsgi.file_wrapper`: which files the kernel sends, and what becomes of them."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import threading
from pathlib import Path

import pytest
from django.core.files import File

from sdserve.worker.wsgi_exchange import GoneError
from sdserve.worker.wsgi_files import FileWrapper, real_part
from tests.worker.answers import PLAIN, Told
from tests.worker.serving import REQUEST, TIMEOUT

CONTENT = bytes(range(256)) * 1000
LARGE = CONTENT * 8
"""More than what sockets take."""


@pytest.fixture
def path(tmp_path):
    written = tmp_path / "file"
    written.write_bytes(CONTENT)
    return written


class Tracked:
    """Opens files, and knows when they are closed."""

    def __init__(self):
        self.closed = threading.Semaphore(0)
        self.threads = []

    def open(self, path, at=0):
        file = path.open("rb")
        file.seek(at)
        return self.track(file)

    def track(self, file):
        close = file.close

        def closing():
            close()
            self.threads.append(threading.current_thread().name)
            self.closed.release()

        wrapper = FileWrapper(file)
        wrapper.close = closing
        return wrapper

    def was_closed(self):
        return self.closed.acquire(timeout=TIMEOUT)


@pytest.fixture
def tracked():
    return Tracked()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


# On its own


def opened_in_text(path):
    return path.open("r", encoding="latin-1")


def of_gzip(path):
    with gzip.open(path.with_suffix(".gz"), "wb") as file:
        file.write(CONTENT)
    return gzip.open(path.with_suffix(".gz"), "rb")


def buffered_gzip(path):
    return io.BufferedReader(of_gzip(path))


def opened_in_kernel(name):
    return Path(name).open("rb")


def pipe(path):
    reading, writing = os.pipe()
    os.close(writing)
    return open(reading, "rb")


class Upper(io.BufferedReader):
    """Does not give the bytes of the file."""

    def read(self, size=-1):
        return super().read(size).upper()


@pytest.mark.parametrize(
    "open_other",
    [
        opened_in_text,
        of_gzip,
        buffered_gzip,
        pipe,
        lambda path: io.BytesIO(CONTENT),
        lambda path: Upper(io.FileIO(path)),
        lambda path: object(),
        lambda path: opened_in_kernel("/proc/self/status"),
        lambda path: opened_in_kernel("/dev/null"),
    ],
)
def test_what_is_not_the_bytes_of_a_regular_file_is_read(path, open_other):
    before = descriptors()
    filelike = open_other(path)
    opened = descriptors()
    assert real_part(FileWrapper(filelike)) is None
    assert descriptors() == opened
    if hasattr(filelike, "close"):
        filelike.close()
    assert descriptors() <= max(before, opened)


def temporary(path):
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the test closes it
    file.write(CONTENT)
    file.seek(10)
    return file


def at_ten(file):
    file.read(10)
    return file


@pytest.mark.parametrize(
    "open_real",
    [
        lambda path: at_ten(path.open("rb")),
        lambda path: at_ten(path.open("rb", buffering=0)),
        lambda path: at_ten(path.open("r+b")),
        lambda path: at_ten(File(path.open("rb"))),
        temporary,
    ],
)
def test_a_real_file_is_sent_from_its_position_on(path, open_real):
    with open_real(path) as file:
        part = real_part(FileWrapper(file))
        assert (part.offset, part.count) == (10, len(CONTENT) - 10)
        assert os.pread(part.descriptor.fileno(), 20, part.offset) == CONTENT[10:30]
    part.descriptor.close()


def test_what_was_written_and_not_yet_flushed_is_part_of_it(path):
    with path.open("r+b") as file:
        file.seek(0, io.SEEK_END)
        file.write(b"more")
        file.seek(len(CONTENT))
        part = real_part(FileWrapper(file))
    assert part.count == 4
    part.descriptor.close()


def test_a_position_behind_the_end_is_the_end(path):
    with path.open("rb") as file:
        file.seek(len(CONTENT) + 5)
        part = real_part(FileWrapper(file))
    assert part.count == 0
    part.descriptor.close()


def test_a_file_that_is_closed_is_the_applications_error(path):
    with path.open("rb") as file:
        wrapper = FileWrapper(file)
    with pytest.raises(ValueError, match="closed"):
        real_part(wrapper)


def test_a_wrapper_is_an_iterable_that_closes_its_file(path):
    wrapper = FileWrapper(path.open("rb"), 1000)
    parts = list(wrapper)
    assert b"".join(parts) == CONTENT
    assert {len(part) for part in parts} == {1000}
    assert list(wrapper) == []
    wrapper.close()
    assert wrapper.filelike.closed


def test_a_wrapper_closes_nothing_that_cannot_be_closed():
    assert not hasattr(FileWrapper(object()), "close")


def test_a_wrapper_seeks_where_its_file_does(path):
    with path.open("rb") as file:
        wrapper = FileWrapper(file)
        assert wrapper.seekable()
        wrapper.seek(256)
        assert wrapper.tell() == 256
    assert not FileWrapper(object()).seekable()


# Over a connection


@pytest.mark.parametrize("at", [0, 5, len(CONTENT)])
def test_the_rest_of_a_file_is_the_answer(serve, threads, path, tracked, at):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return tracked.open(path, at)

    worker = serve(application, threads=threads, access=True)
    client = worker.connect()
    before = None
    for _ in range(4):
        response = client.request()
        assert response.body == CONTENT[at:]
        assert response.fields["content-length"] == str(len(CONTENT) - at)
        head = client.request(REQUEST.replace(b"GET", b"HEAD"))
        assert head.fields["content-length"] == str(len(CONTENT) - at)
        assert tracked.was_closed()
        assert tracked.was_closed()
        worker.settle()
        before = before or descriptors()
    assert descriptors() == before
    assert worker.errors() == []
    on_pool = all(name.startswith("sdserve-wsgi") for name in tracked.threads)
    assert on_pool is (threads > 1)


@pytest.mark.parametrize(("promised", "sent"), [(100, 100), (len(CONTENT), len(CONTENT))])
def test_a_file_is_cut_at_its_content_length(serve, threads, path, tracked, promised, sent):
    def application(environ, start_response):
        start_response("206 Partial Content", [("Content-Length", str(promised))])
        return tracked.open(path)

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(2):
        assert client.request().body == CONTENT[:sent]
        assert tracked.was_closed()
    assert worker.errors() == []


def test_a_file_shorter_than_its_content_length_ends_the_connection(serve, threads, path, tracked):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(CONTENT) + 7))])
        return tracked.open(path)

    worker = serve(application, threads=threads)
    client = worker.connect()
    client.send(REQUEST)
    client.head()
    assert client.rest_of_cut() == CONTENT
    assert tracked.was_closed()
    assert worker.errors() == ["the application sent 7 bytes less than its Content-Length"]


def test_what_was_written_comes_before_the_file(serve, threads, path, tracked):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)(b"written")
        return tracked.open(path)

    client = serve(application, threads=threads).connect()
    for _ in range(2):
        response = client.request()
        assert response.body == b"written" + CONTENT
        assert response.fields["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("promised", [100, 7, 3])
def test_what_was_written_is_part_of_the_content_length(serve, threads, path, tracked, promised):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", str(promised))])(b"written")
        return tracked.open(path)

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(2):
        assert client.request().body == (b"written" + CONTENT)[:promised]
        assert tracked.was_closed()
    complaint = "the application sent more than its Content-Length; the rest was cut off"
    assert worker.errors() == ([complaint] * 2 if promised < len(b"written") else [])


def test_nothing_can_be_written_while_a_file_is_sent(serve, threads, path, tracked):
    path.write_bytes(LARGE)
    kept, told = [], Told()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/write":
            try:
                kept[0](b"from elsewhere")
            except Exception as error:
                told(type(error))
            start_response("200 OK", PLAIN)
            return [b"hello"]
        kept.append(start_response("200 OK", PLAIN))
        return tracked.open(path)

    worker = serve(application, threads=threads, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    assert worker.request(REQUEST.replace(b"/", b"/write", 1)).body == b"hello"
    assert told.next() is GoneError
    assert client.read(len(LARGE)) == LARGE
    assert client.request(REQUEST.replace(b"/", b"/write", 1)).body == b"hello"
    assert told.next() is GoneError
    assert worker.errors() == []


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_file_where_there_is_no_body(serve, threads, path, tracked, status):
    def application(environ, start_response):
        start_response(status, [])
        return tracked.open(path)

    client = serve(application, threads=threads).connect()
    for _ in range(2):
        response = client.request()
        assert "content-length" not in response.fields
        assert tracked.was_closed()


def test_a_file_that_has_to_be_read(serve, threads, tracked, path):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return tracked.track(of_gzip(path))

    worker = serve(application, threads=threads)
    client = worker.connect()
    for _ in range(2):
        assert client.request().body == CONTENT
        assert tracked.was_closed()
    assert worker.errors() == []


def test_a_middleware_around_the_wrapper_reads_it(serve, threads, tracked, path):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        wrapper = tracked.open(path)

        class Around:
            def __iter__(self):
                return iter(wrapper)

            close = staticmethod(wrapper.close)

        return Around()

    worker = serve(application, threads=threads)
    assert worker.request().body == CONTENT
    assert tracked.was_closed()


@pytest.mark.parametrize(
    "start",
    [
        None,
        ("200 OK", [("Bad\r\nName", "x")]),
        ("200 OK", [("X", "a\r\nb")]),
        ("200 OK", [("Content-Length", "x")]),
    ],
)
def test_a_head_that_is_refused_closes_the_file(serve, threads, tracked, path, start):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/":
            if start is not None:
                start_response(*start)
        else:
            start_response("200 OK", PLAIN)
        return tracked.open(path)

    worker = serve(application, threads=threads)
    client = worker.connect()
    before = None
    for _ in range(6):  # more often than there are threads
        assert client.request().status == 500
        assert tracked.was_closed()
        worker.settle()
        before = before or descriptors()
    assert descriptors() == before
    assert client.request(REQUEST.replace(b"/", b"/well", 1)).body == CONTENT
    assert worker.errors() == ["GET /: the application raised"] * 6


def test_a_client_that_leaves_in_the_middle_closes_the_file(serve, threads, tracked, path):
    path.write_bytes(LARGE)

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return tracked.open(path)

    worker = serve(application, threads=threads, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    client.reset()
    assert tracked.was_closed()
    worker.settle()
    assert worker.call(lambda: worker.server.gateway.busy) == 0
    assert worker.errors() == []


def test_a_client_that_has_left_before_the_file_gets_none(serve, tracked, path):
    go_on, called = threading.Event(), Told()

    def application(environ, start_response):
        called(True)
        assert go_on.wait(TIMEOUT)
        start_response("200 OK", PLAIN)
        return tracked.open(path)

    worker = serve(application, threads=2)
    counts = []
    for _ in range(3):
        client = worker.connect()
        client.send(REQUEST)
        assert called.next()
        client.reset()
        worker.wait_for(lambda: not worker.server._protocols)
        go_on.set()
        assert tracked.was_closed()
        worker.settle()
        go_on.clear()
        counts.append(descriptors())
    assert counts == counts[:1] * 3
    assert worker.errors() == []


def test_a_client_that_reads_slowly_holds_no_thread(serve, tracked, path):
    path.write_bytes(LARGE)

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return tracked.open(path) if environ["PATH_INFO"] == "/" else [b"hello"]

    worker = serve(application, threads=2, send_buffer=65536)
    slow = [worker.connect(receive_buffer=4096) for _ in range(3)]
    for client in slow:
        client.send(REQUEST)
        client.head()
    assert worker.request(REQUEST.replace(b"/", b"/other", 1)).body == b"hello"
    assert worker.call(lambda: worker.server.gateway.busy) >= 3
    for client in slow:
        assert client.read(len(LARGE)) == LARGE
        assert tracked.was_closed()


def test_what_the_application_does_to_its_file_meanwhile_is_not_sent(serve, threads, path, tmp_path):
    """Closed too early, and its descriptor taken by another file."""
    opened = []
    path.write_bytes(LARGE)

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/close":
            opened[0].close()
            opened.append(opened_in_kernel("/dev/zero"))
            start_response("200 OK", PLAIN)
            return [b"closed"]
        start_response("200 OK", PLAIN)
        opened.append(path.open("rb"))
        return environ["wsgi.file_wrapper"](opened[-1])

    worker = serve(application, threads=threads, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    assert worker.request(REQUEST.replace(b"/", b"/close", 1)).body == b"closed"
    assert client.read(len(LARGE)) == LARGE
    for file in opened:
        file.close()


def test_a_file_that_is_cut_while_it_is_sent_cuts_the_connection(serve, threads, path, tracked):
    path.write_bytes(LARGE)

    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return tracked.open(path)

    worker = serve(application, threads=threads, send_buffer=65536)
    client = worker.connect(receive_buffer=4096)
    client.send(REQUEST)
    client.head()
    os.truncate(path, 0)
    assert len(client.rest_of_cut()) < len(LARGE)
    assert tracked.was_closed()
    (text,) = worker.errors()
    assert text.startswith("a file cannot be sent to its end: ")
