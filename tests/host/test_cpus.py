import os

import pytest

from sdserve.host.cpus import cgroup_quota, memory_limit, usable_cpus


@pytest.fixture
def kernel(tmp_path):
    """A cgroup hierarchy of files; the quota of a group is the text of its cpu.max."""

    class Kernel:
        cgroups = tmp_path / "cgroup"
        own_cgroup = tmp_path / "self"

        def limit(self, group, text, file="cpu.max"):
            path = self.cgroups / group / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def be_in(self, text):
            self.own_cgroup.write_text(text)

        def quota(self):
            return cgroup_quota(self.cgroups, self.own_cgroup)

    return Kernel()


def test_without_a_quota_there_is_no_limit(kernel):
    kernel.limit("system.slice/shop.service", "max 100000\n")
    kernel.be_in("0::/system.slice/shop.service\n")
    assert kernel.quota() is None


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("100000 100000\n", 1),
        ("1000 100000\n", 1),
        ("50000 25000\n", 2),
    ],
)
def test_a_quota_counts_in_whole_cpus_rounded_up(kernel, text, cpus):
    kernel.limit("system.slice/shop.service", text)
    kernel.be_in("0::/system.slice/shop.service\n")
    assert kernel.quota() == cpus


def test_the_smallest_quota_on_the_way_up_counts(kernel):
    kernel.limit("", "900000 100000\n")
    kernel.limit("a", "300000 100000\n")
    kernel.limit("a/b", "max 100000\n")
    kernel.limit("a/b/c", "400000 100000\n")
    kernel.be_in("0::/a/b/c\n")
    assert kernel.quota() == 3


def test_the_root_of_a_namespace_has_its_own_quota(kernel):
    kernel.limit("", "300000 100000\n")
    kernel.be_in("0::/\n")
    assert kernel.quota() == 3


def test_older_hierarchies_beside_it_are_passed_over(kernel):
    kernel.limit("a", "300000 100000\n")
    kernel.be_in("4:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/a\n")
    assert kernel.quota() == 3


def test_a_place_outside_of_our_namespace_has_only_its_root(kernel):
    kernel.limit("", "300000 100000\n")
    kernel.be_in("0::/../other\n")
    assert kernel.quota() == 3


def test_a_group_that_was_deleted_under_us_has_no_limit(kernel):
    kernel.be_in("0::/a (deleted)\n")
    assert kernel.quota() is None


@pytest.mark.parametrize("text", ["", "max", "1 2 3", "x y", "100000 0\n"])
def test_a_file_of_another_form_has_no_limit(kernel, text):
    kernel.limit("a", text)
    kernel.be_in("0::/a\n")
    assert kernel.quota() is None


def test_without_proc_there_is_no_limit(kernel):
    assert kernel.quota() is None


def test_the_affinity_counts_if_it_is_less_than_the_quota(kernel):
    cpus = os.sched_getaffinity(0)
    kernel.limit("a", "10000000 100000\n")
    kernel.be_in("0::/a\n")
    assert usable_cpus(kernel.cgroups, kernel.own_cgroup) == len(cpus)


def test_the_quota_counts_if_it_is_less_than_the_affinity(kernel):
    kernel.limit("a", "100000 100000\n")
    kernel.be_in("0::/a\n")
    assert usable_cpus(kernel.cgroups, kernel.own_cgroup) == 1


def test_here_is_at_least_one():
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("most", "high", "limit"),
    [("max\n", "max\n", None), ("1000\n", "max\n", 1000), ("1000\n", "800\n", 800), ("x", "", None)],
)
def test_the_limit_of_memory_is_the_tighter_one(kernel, most, high, limit):
    kernel.limit("a", most, file="memory.max")
    kernel.limit("a", high, file="memory.high")
    kernel.be_in("0::/a/b\n")
    assert memory_limit(kernel.cgroups, kernel.own_cgroup) == limit
