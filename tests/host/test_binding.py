from __future__ import annotations

import os
import pwd
import resource
import socket
import stat

import pytest

from sdserve.errors import BindError
from sdserve.host import binding
from sdserve.host.addresses import parse

DEFAULTS = {"backlog": 7, "mode": 0o640}


@pytest.fixture
def bind():
    """Binds like the real one, and cleans up."""
    listeners = []

    def bind(text, **options):
        listeners.append(binding.bind("web", parse(text), **{**DEFAULTS, **options}))
        return listeners[-1]

    yield bind
    for listener in listeners:
        listener.close()


def port_of(listener):
    return listener.socket.getsockname()[1]


def is_reachable(listener):
    with socket.socket(listener.socket.family) as client:
        client.connect(listener.socket.getsockname())
        connected, _ = listener.socket.accept()
        connected.close()
    return True


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "unix:{}/web.sock"])
def test_it_listens(bind, tmp_path, text):
    listener = bind(text.format(tmp_path))
    assert is_reachable(listener)
    assert listener.name == "web"


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "unix:{}/web.sock"])
def test_it_never_blocks_and_passes_through_no_exec(bind, tmp_path, text):
    listener = bind(text.format(tmp_path))
    with pytest.raises(BlockingIOError):
        listener.socket.accept()
    assert not os.get_inheritable(listener.socket.fileno())


def test_ipv4_and_ipv6_stand_side_by_side_on_one_port(bind):
    # A port that is free on both sides: one alone says nothing about the other.
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        port = both.getsockname()[1]
    assert port_of(bind(f"[::]:{port}")) == port
    assert port_of(bind(f"0.0.0.0:{port}")) == port


def test_a_connection_in_time_wait_does_not_keep_the_address(bind):
    first = bind("127.0.0.1:0")
    with socket.socket() as client:
        client.connect(first.socket.getsockname())
        connected, _ = first.socket.accept()
        connected.close()  # this side first: it is the one in TIME_WAIT
        assert client.recv(1) == b""
    port = port_of(first)
    first.close()
    assert port_of(bind(f"127.0.0.1:{port}")) == port


def test_an_address_in_use_names_who_has_it(bind):
    port = port_of(bind("127.0.0.1:0"))
    with pytest.raises(BindError) as caught:
        bind(f"127.0.0.1:{port}")
    assert str(caught.value).startswith(f"cannot bind 127.0.0.1:{port}: Address already in use, by ")
    assert str(caught.value).endswith(f"(pid {os.getpid()})")


@pytest.mark.parametrize("text", ["127.0.0.1:0", "unix:{}/web.sock"])
def test_without_a_free_descriptor_nothing_can_be_bound(bind, tmp_path, text):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(BindError, match=r"Too many open files; raise LimitNOFILE=$"):
            bind(text.format(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_address_of_another_machine_is_refused(bind):
    with pytest.raises(BindError, match=r"cannot bind 192\.0\.2\.1:80: Cannot assign requested address"):
        bind("192.0.2.1:80")


def test_the_mode_is_as_configured_whatever_the_umask(bind, tmp_path):
    before = os.umask(0o777)
    try:
        bind(f"unix:{tmp_path}/web.sock", mode=0o666)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "web.sock").st_mode) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_and_group_are_as_configured(bind, tmp_path):
    bind(f"unix:{tmp_path}/web.sock", owner="daemon", group="4")
    status = os.stat(tmp_path / "web.sock")
    assert (status.st_uid, status.st_gid) == (pwd.getpwnam("daemon").pw_uid, 4)


@pytest.mark.parametrize("kind", ["owner", "group"])
def test_somebody_who_does_not_exist_is_named(bind, tmp_path, kind):
    with pytest.raises(BindError, match=r"there is no (user|group) nobody-like-this"):
        bind(f"unix:{tmp_path}/web.sock", **{kind: "nobody-like-this"})
    assert list(tmp_path.iterdir()) == []


def test_a_connection_may_have_to_say_something_first(bind):
    listener = bind("127.0.0.1:0", defer_accept=0.5)
    assert listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) >= 1


def test_a_socket_that_nobody_listens_at_is_replaced(bind, tmp_path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(f"{tmp_path}/web.sock")
        killed.listen()
    assert is_reachable(bind(f"unix:{tmp_path}/web.sock"))


def test_a_socket_that_somebody_listens_at_is_left_alone(bind, tmp_path):
    first = bind(f"unix:{tmp_path}/web.sock")
    with pytest.raises(BindError, match=rf"address in use, by .*\(pid {os.getpid()}\)$"):
        bind(f"unix:{tmp_path}/web.sock")
    first.socket.accept()[0].close()  # the visitor
    assert is_reachable(first)


def test_a_full_backlog_is_somebody_too(bind, tmp_path):
    bind(f"unix:{tmp_path}/web.sock", backlog=0)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(f"{tmp_path}/web.sock")
        with pytest.raises(BindError, match="somebody listens there"):
            bind(f"unix:{tmp_path}/web.sock")


def test_a_file_that_is_no_socket_is_left_alone(bind, tmp_path):
    (tmp_path / "web.sock").write_text("precious")
    with pytest.raises(BindError, match="exists and is not a socket"):
        bind(f"unix:{tmp_path}/web.sock")
    assert (tmp_path / "web.sock").read_text() == "precious"


def test_a_directory_that_is_missing_is_named(bind, tmp_path):
    with pytest.raises(BindError, match=rf"cannot bind unix:{tmp_path}/run/web.sock: No such file"):
        bind(f"unix:{tmp_path}/run/web.sock")


def test_closing_removes_the_file_it_made(bind, tmp_path):
    bind(f"unix:{tmp_path}/web.sock").close()
    assert not list(tmp_path.iterdir())


def test_closing_leaves_the_file_of_a_successor(bind, tmp_path):
    first = bind(f"unix:{tmp_path}/web.sock")
    (tmp_path / "web.sock").unlink()
    successor = bind(f"unix:{tmp_path}/web.sock")
    first.close()
    assert is_reachable(successor)


def test_closing_twice_and_after_the_file_is_gone_is_fine(bind, tmp_path):
    listener = bind(f"unix:{tmp_path}/web.sock")
    (tmp_path / "web.sock").unlink()
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_low_port_without_the_right_to_it_says_what_helps(tmp_path):
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as setting:
            allowed = int(setting.read()) <= 1
        try:
            binding.bind("web", parse("127.0.0.1:1"), **DEFAULTS)
        except BindError as error:
            os._exit(0 if "CAP_NET_BIND_SERVICE" in str(error) else 1)
        os._exit(0 if allowed else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("text", ["127.0.0.1:0", "unix:{}/web.sock"])
def test_what_listens_already_is_changed_to_what_is_wanted(bind, tmp_path, text):
    address = parse(text.format(tmp_path))
    listener = bind(str(address), backlog=1)
    binding.adapt(listener, address, backlog=5, mode=0o600)
    clients = []
    for _ in range(6):  # one more than the backlog: listen(2)
        clients.append(socket.socket(listener.socket.family))
        clients[-1].setblocking(False)
        clients[-1].connect_ex(listener.socket.getsockname())
    for _ in clients:
        listener.socket.settimeout(20)
        listener.socket.accept()[0].close()
    for client in clients:
        client.close()
    if listener.created:
        assert stat.S_IMODE(os.stat(tmp_path / "web.sock").st_mode) == 0o600


def test_what_cannot_be_changed_is_an_error_that_names_it(bind, tmp_path):
    address = parse(f"unix:{tmp_path}/web.sock")
    listener = bind(str(address))
    os.unlink(tmp_path / "web.sock")
    with pytest.raises(BindError, match=f"cannot listen at {address} again: No such file"):
        binding.adapt(listener, address, backlog=5, mode=0o600)


def test_the_file_of_one_that_is_kept_stays(bind, tmp_path):
    listener = bind(f"unix:{tmp_path}/web.sock")
    listener.kept = "sdserve-listen-web-1"
    listener.close()
    assert (tmp_path / "web.sock").exists()
