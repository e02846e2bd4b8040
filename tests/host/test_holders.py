from __future__ import annotations

import os
import socket

from sdserve.host import holders


def test_nobody_listens():
    with socket.socket() as bound_only:
        bound_only.bind(("127.0.0.1", 0))
        assert holders.of_port(bound_only.getsockname()[1]) == ""


def test_the_one_who_listens_is_named():
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as listener:
            listener.bind((host, 0))
            listener.listen()
            assert holders.of_port(listener.getsockname()[1]).endswith(f"(pid {os.getpid()})")


def test_a_process_that_is_gone_has_only_a_number():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert holders.describe(child) == f"pid {child}"
