from __future__ import annotations

import os
import pwd
import socket

import pytest

from sdserve.errors import DeniedError, UsageError
from sdserve.host import reachability

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def place(tmp_path_factory):
    """A directory that everybody may enter, with a listening socket in it."""
    path = tmp_path_factory.mktemp("place")
    above = [parent for parent in path.parents if parent.owner() == ME and len(parent.parts) > 2]
    before = [(parent, parent.stat().st_mode) for parent in above]
    for parent in (path, *above):
        parent.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}/web.sock")
        listener.listen(0)
        os.chmod(f"{path}/web.sock", 0o660)
        yield path
    for parent, mode in before:
        parent.chmod(mode)


def test_who_may_connect_does(place):
    assert reachability.obstacle(f"{place}/web.sock", ME) == ""


def test_a_full_backlog_stands_in_nobodys_way(place):
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(f"{place}/web.sock")
        assert reachability.obstacle(f"{place}/web.sock", ME) == ""


@needs_root
def test_the_rights_of_the_socket_are_told(place):
    fault = reachability.obstacle(f"{place}/web.sock", "daemon")
    assert fault == f"may not write to {place}/web.sock, which belongs to root:root and has mode 0660"


@needs_root
def test_the_group_of_the_socket_lets_its_members_in(place):
    os.chown(f"{place}/web.sock", -1, pwd.getpwnam("daemon").pw_gid)
    assert reachability.obstacle(f"{place}/web.sock", "daemon") == ""


@needs_root
def test_the_first_directory_that_is_closed_is_told(place):
    place.chmod(0o700)
    fault = reachability.obstacle(f"{place}/web.sock", "daemon")
    assert fault == f"may not enter {place}, which belongs to root:root and has mode 0700"


def test_a_socket_that_is_not_there_is_told(place):
    assert reachability.obstacle(f"{place}/none", ME) == f"finds no socket at {place}/none: is it started?"


def test_a_socket_that_nobody_listens_at_is_told(place):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{place}/left")
    assert reachability.obstacle(f"{place}/left", ME) == f"is refused at {place}/left: nobody listens there"


def test_what_is_no_stream_socket_is_told(place):
    (place / "file").write_text("")
    assert "at" in reachability.obstacle(f"{place}/file", ME)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(f"{place}/datagrams")
        assert reachability.obstacle(f"{place}/datagrams", ME).startswith("cannot connect to")


def test_a_user_who_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="there is no user nobody-like-this"):
        reachability.obstacle("/run/x", "nobody-like-this")


def test_only_root_can_ask_for_others(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(DeniedError):
        reachability.obstacle("/run/x", "root")
