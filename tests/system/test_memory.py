"""Workers of an application that is imported once share its memory."""

from __future__ import annotations

import re

import pytest

from tests.system.instance import Instance
from tests.system.machine import Machine

pytestmark = pytest.mark.system

WORKERS = 8
INI = f"""\
[app]
application = flask_probe:app
directory = /srv/applications
preload = {{preload}}
[workers]
count = {WORKERS}
"""


def test_preloaded_workers_need_at_most_half_the_memory(machine: Machine) -> None:
    each = memory_of_workers(machine, preload="no", port=8000)
    together = memory_of_workers(machine, preload="yes", port=8001)
    assert together <= each / 2


def memory_of_workers(machine: Machine, *, preload: str, port: int) -> int:
    """Start an instance; return the memory of its workers in KiB, shared pages divided by who shares them."""
    instance = Instance(machine, f"flask-{preload}", port=port)
    instance.configure_text(INI.format(preload=preload))
    instance.listen()
    instance.start()
    for _ in range(WORKERS):
        assert instance.get("/").text == "flask"
    listing = machine.run("sdserve", "status", instance.name).stdout
    workers = [int(pid) for pid in re.findall(r"^ *\d+ +(\d+) +\d+ +ready", listing, re.MULTILINE)]
    assert len(workers) == WORKERS
    return sum(proportional_kib(machine, pid) for pid in workers)


def proportional_kib(machine: Machine, pid: int) -> int:
    """The proportional set size of a process; proc_pid_smaps(5)."""
    found = re.search(r"^Pss: +(\d+) kB", machine.path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
