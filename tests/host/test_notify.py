from __future__ import annotations

import os
import resource
import select
import socket
import threading

import pytest

from sdserve.host import notify
from sdserve.host.notify import ServiceManager
from tests.notify_socket import NotifySocket

TIMEOUT = 20.0
"""Seconds for anything that is waited for: the end of a hang."""


@pytest.fixture
def manager(monkeypatch):
    manager = NotifySocket()
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    yield manager
    manager.close()


@pytest.fixture
def told():
    told = ServiceManager()
    yield told
    told.close()


def test_each_word_is_said_as_the_protocol_has_it(manager, told):
    told.tell(notify.READY)
    told.tell(notify.status("Serving, 2 of 2 workers ready"))
    told.tell(notify.STOPPING)
    assert manager.status == "Serving, 2 of 2 workers ready"
    assert manager.messages[0] == ("READY", "1")
    assert manager.messages[-1] == ("STOPPING", "1")


def test_a_reload_tells_when_it_began(manager, told):
    told.tell(notify.reloading(1_234_567_890))
    told.tell(notify.extend_timeout(2.5))
    assert manager.status == ""
    assert manager.messages == [
        ("RELOADING", "1"),
        ("MONOTONIC_USEC", "1234567"),
        ("EXTEND_TIMEOUT_USEC", "2500000"),
    ]


def test_a_status_cannot_smuggle_another_word(manager, told):
    told.tell(notify.status("oh\nREADY=1\r\nSTOPPING=1"))
    assert manager.status == "oh READY=1 STOPPING=1"
    assert len(manager.messages) == 1


def test_without_a_manager_nothing_happens(monkeypatch, told):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    told.tell(notify.READY)
    assert not told.is_behind
    assert told.fileno() == -1


def test_a_manager_that_is_gone_is_an_error(manager, told):
    manager.close()
    with pytest.raises(OSError, match="refused"):
        told.tell(notify.READY)
    assert not told.is_behind


def test_a_manager_with_another_socket_of_the_name_is_found_again(monkeypatch, tmp_path, told):
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(path)
            receiver.settimeout(20)
            told.tell(notify.READY)
            assert receiver.recv(100) == b"READY=1"
        (tmp_path / "notify").unlink()


def test_a_manager_that_does_not_read_is_told_everything_that_matters_when_it_does(manager, told):
    number = 0
    while not told.is_behind:
        told.tell(notify.status(f"{number}"))
        number += 1
        assert number < 10_000
    told.tell(notify.READY)
    for more in range(5):
        told.tell(notify.status(f"last {more}"))
    told.tell(notify.STOPPING)
    assert told.fileno() >= 0
    assert manager.status == str(number - 2)
    manager.messages.clear()
    told.flush()
    assert not told.is_behind
    assert manager.status == "last 4"
    assert manager.messages == [("READY", "1"), ("STATUS", "last 4"), ("STOPPING", "1")]


# Descriptors


@pytest.fixture
def pipe():
    """Both ends of a pipe; the reading one is at its end once nobody has the other."""
    read, write = os.pipe()
    ends = [read, write]
    yield ends
    for end in ends:
        os.close(end)


def is_over(read):
    return bool(select.select([read], [], [], 0)[0])


def fill(told):
    """Say so much that the manager has no room."""
    number = 0
    while not told.is_behind:
        told.tell(notify.status(f"{number}"))
        number += 1
        assert number < 10_000


def test_descriptors_are_kept_under_their_names_until_they_are_given_up(manager, told, pipe):
    told.tell(notify.store("one"), [pipe[0]])
    told.tell(notify.store("two"), pipe)
    assert [name for name, _ in manager.store] == ["one", "two", "two"]
    assert manager.messages[:3] == [("FDSTORE", "1"), ("FDPOLL", "0"), ("FDNAME", "one")]
    assert os.path.sameopenfile(manager.store[0][1], pipe[0])
    assert os.path.sameopenfile(manager.store[2][1], pipe[1])
    told.tell(notify.unstore("two"))
    assert [name for name, _ in manager.store] == ["one"]


def test_copies_are_sent_and_none_is_left_behind(manager, told, pipe):
    told.tell(notify.store("write"), [pipe[1]])
    assert manager.count("write") == 1
    os.close(pipe.pop())
    assert not is_over(pipe[0])
    told.tell(notify.unstore("write"))
    assert manager.count("write") == 0
    assert is_over(pipe[0])


def test_what_waits_for_room_has_copies_of_its_own(manager, told, pipe):
    fill(told)
    told.tell(notify.store("write"), [pipe[1]])
    os.close(pipe.pop())
    assert not is_over(pipe[0])
    while told.is_behind:
        assert manager.status
        told.flush()
    assert manager.count("write") == 1
    told.tell(notify.unstore("write"))
    assert manager.count("write") == 0
    assert is_over(pipe[0])


def test_what_waits_in_vain_is_closed(manager, told, pipe):
    fill(told)
    told.tell(notify.store("write"), [pipe[1]])
    os.close(pipe.pop())
    told.close()
    assert is_over(pipe[0])
    told.close()


def test_what_waits_for_a_manager_that_goes_is_closed(manager, told, pipe):
    fill(told)
    told.tell(notify.store("write"), [pipe[1]])
    os.close(pipe.pop())
    manager.close()
    with pytest.raises(OSError, match="refused"):
        told.flush()
    assert not told.is_behind
    assert is_over(pipe[0])


def test_the_oldest_of_far_too_many_is_dropped_and_closed(manager, told, pipe, monkeypatch):
    monkeypatch.setattr(notify, "_MOST_KEPT", 3)
    fill(told)
    told.tell(notify.store("write"), [pipe[1]])
    os.close(pipe.pop())
    for _ in range(2):
        told.tell(notify.READY)
        assert not is_over(pipe[0])
    told.tell(notify.READY)
    assert is_over(pipe[0])


def test_without_a_manager_no_copy_is_left(monkeypatch, told, pipe):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    told.tell(notify.store("write"), [pipe[1]])
    os.close(pipe.pop())
    assert is_over(pipe[0])


def test_a_message_that_cannot_be_sent_takes_no_other_with_it(manager, told, pipe):
    fill(told)
    told.tell("x" * 10_000_000)  # more than any socket takes at once
    told.tell(notify.store("read"), [pipe[0]])
    told.tell(notify.READY)
    assert manager.status
    with pytest.raises(OSError, match="too long"):
        told.flush()
    assert told.is_behind
    told.flush()
    assert not told.is_behind
    assert manager.count("read") == 1
    assert manager.messages[-1] == ("READY", "1")


def test_without_a_free_descriptor_nothing_is_told_and_nothing_kept(manager, told, pipe):
    told.tell(notify.READY)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            told.tell(notify.store("write"), [pipe[1]])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert not told.is_behind
    assert manager.store == []


# The end


def test_settling_waits_until_the_manager_has_read_all(manager, told):
    fill(told)
    told.tell(notify.STOPPING)
    settled = threading.Event()
    thread = threading.Thread(target=lambda: (told.settle(TIMEOUT), settled.set()))
    thread.start()
    assert not settled.is_set(), "it has read nothing yet"
    while not settled.is_set():
        assert manager.status
    thread.join(TIMEOUT)
    assert not told.is_behind
    assert manager.messages[-2:] == [("STOPPING", "1"), ("BARRIER", "1")]
    assert manager.store == []


@pytest.mark.parametrize("full", [False, True])
def test_a_manager_that_does_not_read_is_not_waited_for_for_ever(manager, told, full):
    if full:
        fill(told)
    before = len(os.listdir("/proc/self/fd"))
    told.settle(0.05)
    assert manager.messages == []
    told.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_without_a_manager_there_is_nothing_to_settle(monkeypatch, told):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    told.settle(TIMEOUT)


def test_a_manager_that_is_gone_is_settled_with(manager, told):
    told.tell(notify.READY)
    manager.close()
    told.settle(TIMEOUT)
    assert not told.is_behind


# What the environment says


@pytest.mark.parametrize(
    ("given", "size"),
    [("1024", 1024), ("0", 0), (None, 0), ("", 0), ("-1", 0), ("many", 0), ("\u0664", 0), ("1.5", 0)],
)
def test_the_size_of_the_store(manager, monkeypatch, given, size):
    monkeypatch.delenv("FDSTORE", raising=False)
    if given is not None:
        monkeypatch.setenv("FDSTORE", given)
    assert notify.store_size() == size
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert notify.store_size() == 0, "nobody would take anything"


@pytest.mark.parametrize(
    ("given", "pid", "seconds"),
    [
        ("30000000", None, 30.0),
        ("500000", "own", 0.5),
        ("30000000", "1", 0.0),
        ("30000000", "", 0.0),
        ("0", "own", 0.0),
        ("soon", "own", 0.0),
        ("-5", "own", 0.0),
        (None, "own", 0.0),
    ],
)
def test_the_interval_of_the_watchdog(manager, monkeypatch, given, pid, seconds):
    for name, value in (("WATCHDOG_USEC", given), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert notify.watchdog_interval() == seconds
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert notify.watchdog_interval() == 0.0
