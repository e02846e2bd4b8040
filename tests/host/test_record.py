from __future__ import annotations

import errno
import os
import resource
import signal
import socket

import pytest

from sdserve.host import record
from sdserve.host.fds import Fd
from sdserve.host.record import MAX_DOCUMENT, Record


@pytest.fixture
def written():
    made = Record.create("a-record")
    yield made
    made.close()


def reopened(original):
    """What the next owner of the memfd finds."""
    return Record(original.memory.dup())


def read_again(original):
    after = reopened(original)
    found = after.read()
    after.close()
    return found


def torn(content, whole, size):
    """A memfd of `content`, of which the first `size` bytes that differ in `whole` have been overwritten."""
    memory = Fd(os.memfd_create("torn", os.MFD_CLOEXEC))
    os.pwrite(memory.fileno(), content, 0)
    start = next(place for place, (old, new) in enumerate(zip(content, whole, strict=True)) if old != new)
    os.pwrite(memory.fileno(), whole[start : start + size], start)
    return memory


def test_the_newest_document_is_read_by_whoever_has_it(written):
    assert written.read() == b""
    for number in range(5):
        document = b"document %d" % number * (5 - number)
        written.write(document)
        assert written.read() == document
        assert read_again(written) == document


def test_the_next_owner_goes_on_counting(written):
    for number in range(3):
        written.write(b"first %d" % number)
        after = reopened(written)
        after.write(b"then %d" % number)
        assert written.read() == after.read() == b"then %d" % number
        written.memory.close()
        written.memory = after.memory


def test_an_empty_document_is_one(written):
    written.write(b"something")
    written.write(b"")
    assert written.read() == b""
    written.write(b"again")
    assert written.read() == b"again"


def test_it_is_whole_wherever_its_writer_was_stopped(monkeypatch):
    """Torn at every byte of the second and of the third write: one reads the old one or the new one."""
    monkeypatch.setattr(record, "MAX_DOCUMENT", 64)
    made = Record.create("a-record")
    os.ftruncate(made.memory.fileno(), 2 * (record._HEAD.size + 64))
    documents = [b"the first document", b"the second, which is longer", b"the 3rd"]
    images = []
    for document in documents:
        made.write(document)
        images.append(os.pread(made.memory.fileno(), 1000, 0))
    made.close()
    for old, new, before, after in (
        (documents[0], documents[1], images[0], images[1]),
        (documents[1], documents[2], images[1], images[2]),
    ):
        found = []
        length = sum(a != b for a, b in zip(before, after, strict=True)) + record._HEAD.size + len(old)
        for size in range(length):
            taken = Record(torn(before, after, size))
            found.append(taken.read())
            taken.write(b"the next one")
            assert taken.read() == b"the next one"
            assert read_again(taken) == b"the next one"
            taken.close()
        assert set(found) == {old, new}
        assert found == sorted(found, key=[old, new].index), "the new one once it is whole, and never before"


def test_a_byte_that_has_changed_makes_the_one_before_it_the_newest(written):
    written.write(b"old")
    written.write(b"new")
    place = Record._offset(2)
    for offset in range(place, place + record._HEAD.size + 3):
        byte = os.pread(written.memory.fileno(), 1, offset)
        os.pwrite(written.memory.fileno(), bytes([byte[0] ^ 1]), offset)
        assert written.read() == b"old", offset
        os.pwrite(written.memory.fileno(), byte, offset)
    assert written.read() == b"new"


def test_one_that_is_too_long_is_refused_and_the_newest_stays(written):
    longest = bytes(MAX_DOCUMENT)
    written.write(b"old")
    with pytest.raises(ValueError, match="4,194,305 bytes are more than 4,194,304"):
        written.write(longest + b"x")
    assert written.read() == b"old"
    written.write(longest)
    written.write(longest)
    assert written.read() == longest
    assert read_again(written) == longest


@pytest.fixture
def little_room():
    """Files, memfds as well, may have so many bytes that only the beginning of the first place is there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Record._offset(1) + record._HEAD.size + 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_without_memory_the_newest_stays_as_often_as_it_is_tried(written, little_room):
    written.write(b"first")
    written.write(b"second")
    for _ in range(3):  # its own place is in the second half
        with pytest.raises(OSError, match="File too large") as caught:
            written.write(b"a third that is longer than the room there is")
        assert caught.value.errno == errno.EFBIG
        assert written.read() == read_again(written) == b"second"
    written.write(b"third")
    assert written.read() == read_again(written) == b"third"


def test_rubbish_is_no_document():
    for content in (b"", b"x", b"x" * 20, b"\xff" * 1000, bytes(1000)):
        memory = Fd(os.memfd_create("rubbish", os.MFD_CLOEXEC))
        os.pwrite(memory.fileno(), content, 0)
        taken = Record(memory)
        assert taken.read() == b""
        taken.write(b"new")
        assert taken.read() == b"new"
        taken.close()


def test_what_cannot_be_read_is_an_error_and_stays_the_callers():
    ours, theirs = socket.socketpair()
    with theirs, Fd(ours.detach()) as descriptor:
        with pytest.raises(OSError, match="Illegal seek"):
            Record(descriptor)
        assert descriptor.fileno() >= 0


def test_it_is_closed_once(written):
    written.close()
    written.close()
    with pytest.raises(ValueError, match="closed"):
        written.read()
