from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from sdserve.host import usage


def test_cpu_time_is_counted_over_all_threads():
    before = usage.cpu_seconds(os.getpid())
    own = time.process_time()
    while time.process_time() - own < 0.05:
        pass
    assert usage.cpu_seconds(os.getpid()) > before


def test_a_name_with_parentheses_and_spaces_is_no_obstacle(tmp_path):
    program = tmp_path / "a) 1 (b"
    program.symlink_to(sys.executable)
    child = subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE)
    assert usage.cpu_seconds(child.pid) < 60
    child.communicate(b"\n")


def test_a_process_that_is_gone_has_used_nothing():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert usage.cpu_seconds(child) == 0
    assert usage.started(child) == 0


def test_who_has_a_number_is_told_from_who_has_it_later():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert usage.started(os.getpid()) == usage.started(os.getpid()) <= usage.started(child.pid)
    with open("/proc/uptime") as uptime:
        assert 0 < usage.started(child.pid) <= float(uptime.read().split()[0]) * os.sysconf("SC_CLK_TCK")
    child.communicate(b"\n")


@pytest.fixture
def cgroups(tmp_path):
    """Makes files of control groups; what is counted for them."""

    def cgroups(own, **files):
        (tmp_path / "own").write_text(own)
        for path, text in files.items():
            place = tmp_path / path.replace("__", "/").replace("_DOT_", ".")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return usage.oom_kills(tmp_path, tmp_path / "own")

    return cgroups


def test_kills_are_read_from_a_group_of_the_second_version(cgroups):
    events = {"a__b__memory_DOT_events": "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n"}
    assert cgroups("0::/a/b\n", **events) == 3


def test_kills_are_read_from_a_group_of_the_first_version(cgroups):
    control = {"memory__a__memory_DOT_oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"}
    assert cgroups("5:cpu,cpuacct:/x\n4:memory:/a\n1:name=systemd:/\n0::/b\n", **control) == 2


@pytest.mark.parametrize("own", ["", "0::/../elsewhere\n", "0::/without\n", "5:cpu:/x\n"])
def test_where_the_kernel_does_not_count_there_are_none(cgroups, own):
    assert cgroups(own) == 0


def test_without_control_groups_there_are_none(tmp_path):
    assert usage.oom_kills(tmp_path, tmp_path / "missing") == 0


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("0::/system.slice/x.service", "system.slice/x.service"),
        ("1:name=systemd:/a.service", "systemd/a.service"),
    ],
)
def test_the_members_of_our_service_are_those_of_its_control_group(tmp_path, line, place):
    own = tmp_path / "own"
    own.write_text(f"5:memory:/elsewhere\n{line}\n")
    group = tmp_path / "top" / place
    assert usage.service_members(tmp_path / "top", own) == set()
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(f"1\n{os.getpid()}\n77\n")
    assert usage.service_members(tmp_path / "top", own) == {1, os.getpid(), 77}
    (group / "cgroup.procs").write_text("1\n")
    assert usage.service_members(tmp_path / "top", own) == set(), "that is another one"
    assert usage.service_members(tmp_path, tmp_path / "none") == set()


def test_a_control_group_that_is_not_a_services_own_says_nothing_of_us(tmp_path):
    own = tmp_path / "own"
    for path in ("/", "/user.slice/session-1.scope"):
        own.write_text(f"0::{path}\n")
        group = tmp_path / path.lstrip("/")
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
        assert usage.service_members(tmp_path, own) == set()
