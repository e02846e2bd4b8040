"""A worker that the kernel kills because memory runs out, in a control group of this test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sdserve.host.cpus import CGROUPS, OWN_CGROUP

LIMIT = 200 * 1024 * 1024
ENTER = "import os, sys; open(sys.argv[1], 'w').write('0'); os.execvp(sys.argv[2], sys.argv[2:])"


@pytest.fixture
def group():
    """A control group with little memory, below our own."""
    made, limit = _place()
    if made is None:
        pytest.skip("no memory controller here that this user may use")
    made.mkdir()
    try:
        for name, value in limit.items():
            (made / name).write_text(str(value))
        yield made
    finally:
        made.rmdir()


def _place() -> tuple[Path | None, dict[str, int]]:
    if os.geteuid() != 0:
        return None, {}
    name = f"sdserve-test-{os.getpid()}"
    for line in OWN_CGROUP.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return CGROUPS / "memory" / path.lstrip("/") / name, {"memory.limit_in_bytes": LIMIT}
        if not controllers:
            top = CGROUPS / path.lstrip("/")
            offered = top / "cgroup.subtree_control"
            if offered.exists() and "memory" in offered.read_text():
                return top / name, {"memory.max": LIMIT, "memory.swap.max": 0}
    return None, {}


def test_its_cause_of_death_is_told(run, tmp_path, group):
    (tmp_path / "eater.py").write_text(
        "def application(environ, start_response):\n"
        "    eaten = []\n"
        "    while environ['PATH_INFO'] == '/eat':\n"
        "        eaten.append(bytearray(10_000_000))\n"
        "    start_response('200 OK', [])\n"
        "    return [b'well']\n"
    )
    wrapper = (sys.executable, "-c", ENTER, str(group / "cgroup.procs"))
    arguments = (
        *("eater:application", "--bind", f"unix:{tmp_path}/web.sock"),
        *("--set", f"app.directory={tmp_path}"),
    )
    with run(*arguments, wrapper=wrapper) as server:
        server.wait_until_ready()
        with pytest.raises((OSError, AssertionError, ValueError)):
            server.request("GET", "/eat")
        assert server.request("GET", "/").status == 200, "another worker serves"
        assert "crashed (SIGKILL by the kernel, for memory ran out)" in server.stderr()
        assert server.stop() == 0
