from __future__ import annotations

import fcntl
import os

import pytest

from sdserve.host import memfd


def test_it_is_zero_shared_and_close_on_exec():
    with memfd.create("a-name", 4096) as fd:
        assert os.readlink(f"/proc/self/fd/{fd.fileno()}").startswith("/memfd:a-name")
        assert not os.get_inheritable(fd.fileno())
        one, other = memfd.share(fd.fileno()), memfd.share(fd.fileno())
    assert one[:] == bytes(4096)
    one[4095] = 7
    assert other[4095] == 7


@pytest.mark.parametrize("content", [b"", b"a few bytes", b"x" * 3_000_000])
def test_what_was_sealed_is_read_by_whoever_gets_it(content):
    with memfd.sealed("a-name", content) as fd:
        assert not os.get_inheritable(fd.fileno())
        assert memfd.read(fd.fileno()) == content
        assert os.read(fd.fileno(), 5) == content[:5], "it stands at its beginning"
        assert memfd.read(fd.fileno()) == content, "wherever others stand in it"


def test_what_was_sealed_is_nobodys_to_change():
    with memfd.sealed("a-name", b"content") as fd:
        for change in (
            lambda: os.pwrite(fd.fileno(), b"C", 0),
            lambda: os.ftruncate(fd.fileno(), 0),
            lambda: os.ftruncate(fd.fileno(), 100),
            lambda: memfd.share(fd.fileno()),
            lambda: fcntl.fcntl(fd.fileno(), fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL),
        ):
            with pytest.raises(PermissionError):
                change()
        assert memfd.read(fd.fileno()) == b"content"


def test_what_cannot_be_written_leaves_no_descriptor(monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match="No space left"):
        memfd.sealed("a-name", b"content")
    assert os.listdir("/proc/self/fd") == before


def test_what_was_written_is_replaced_whole(tmp_path):
    with open(tmp_path / "file", "wb+") as file:
        for content in (b"the longer one", b"short", b""):
            memfd.write(file.fileno(), content)
            assert memfd.read(file.fileno()) == content
