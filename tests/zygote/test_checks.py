from __future__ import annotations

import os
import socket
import threading

import pytest

from sdserve.errors import BootError
from sdserve.zygote import checks
from tests.serving import wait_until


@pytest.fixture(autouse=True)
def alone():
    """Threads of the tests before this one have been told to end, and may not have yet."""
    wait_until(lambda: threading.active_count() == 1)


def check(leave):
    before = checks.open_descriptors()
    left = leave()
    try:
        checks.check_forkable(before)
    finally:
        for item in left:
            item.close()


def test_files_and_listeners_may_be_left_open():
    def leave():
        listener = socket.create_server(("127.0.0.1", 0))
        return [open(os.devnull), listener, socket.socket()]

    check(leave)


def test_datagrams_do_not_mix():
    def leave():
        log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        log.connect(("127.0.0.1", 514))
        return [log]

    check(leave)


def test_a_connection_is_named_by_its_other_end():
    with socket.create_server(("127.0.0.1", 0)) as database:
        port = database.getsockname()[1]
        with pytest.raises(BootError, match=rf"connections open \(127\.0\.0\.1:{port}, descriptor \d+\)"):
            check(lambda: [socket.create_connection(("127.0.0.1", port))])


def test_a_unix_connection_is_named_by_its_path(tmp_path):
    with socket.socket(socket.AF_UNIX) as database:
        database.bind(f"{tmp_path}/db.sock")
        database.listen()

        def leave():
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"{tmp_path}/db.sock")
            return [client]

        with pytest.raises(BootError, match=rf"\(unix:{tmp_path}/db\.sock, descriptor \d+\)"):
            check(leave)


def test_what_was_open_before_is_not_the_applications():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        check(list)


def test_an_event_loop_that_was_made_is_noticed():
    with pytest.raises(BootError, match=r"a socket pair, descriptor \d+, a socket pair, descriptor \d+"):
        check(lambda: list(socket.socketpair()))


def test_a_thread_is_named():
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="metrics-exporter")
    thread.start()
    try:
        with pytest.raises(BootError, match=r"left threads running \(metrics-exporter\)"):
            checks.check_forkable(checks.open_descriptors())
    finally:
        end.set()
        thread.join()
