from __future__ import annotations

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


def test_what_is_sealed_can_be_read_again_and_again_and_not_be_changed():
    with memfd.sealed("a-name", b"secret") as fd:
        assert not os.get_inheritable(fd.fileno())
        assert memfd.content(fd.fileno()) == memfd.content(fd.fileno()) == b"secret"
        for change in (lambda: os.pwrite(fd.fileno(), b"x", 0), lambda: os.ftruncate(fd.fileno(), 0)):
            with pytest.raises(PermissionError):
                change()
