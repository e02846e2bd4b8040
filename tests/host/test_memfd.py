from __future__ import annotations

import os

from sdserve.host import memfd


def test_it_is_zero_shared_and_close_on_exec():
    with memfd.create("a-name", 4096) as fd:
        assert os.readlink(f"/proc/self/fd/{fd.fileno()}").startswith("/memfd:a-name")
        assert not os.get_inheritable(fd.fileno())
        one, other = memfd.share(fd.fileno()), memfd.share(fd.fileno())
    assert one[:] == bytes(4096)
    one[4095] = 7
    assert other[4095] == 7
