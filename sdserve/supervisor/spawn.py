"""Starting a zygote: fork and exec of an interpreter that knows nothing of ours."""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import sdserve
from sdserve.config import codec
from sdserve.core import wire
from sdserve.host import activation, channel
from sdserve.host.channel import Channel
from sdserve.host.release import Release
from sdserve.supervisor.house import House, Prepared, Zygote

NOT_INHERITED = (*activation.VARIABLES, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE")
"""What the service manager tells the supervisor and nobody else."""


def start_zygote(house: House, generation: int, prepared: Prepared) -> Zygote:
    """Start the zygote of `generation` and tell it what to become.

    OSError if the interpreter cannot be started, WireError if the configuration fits no message.
    """
    release = prepared.release
    pid, ours = start(
        [release.python, *house.zygote_command],
        cwd=release.directory,
        env=environment(os.environ, prepared.configuration.environment, release),
    )
    zygote = Zygote(generation=generation, release=release, pid=pid, channel=ours)
    try:
        ours.send(_open(house, zygote, prepared), _descriptors(house, generation))
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        ours.close()
        raise
    return zygote


def start(
    command: Sequence[str], *, env: Mapping[str, str], cwd: str | None = None, stderr: int | None = None
) -> tuple[int, Channel]:
    """Start a child with a channel, whose descriptor's number is its last argument: its pid and our end.

    OSError if it cannot be started. It is reaped with all others, by `observe`.
    """
    ours, theirs = channel.pair()
    try:
        with theirs.socket:
            process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                cwd=cwd,
                env=env,
                pass_fds=[theirs.fileno()],
                stderr=stderr,
            )
    except BaseException:
        ours.close()
        raise
    process.returncode = 0  # not known yet; but else Popen would wait for it, too
    return process.pid, ours


def inherited(own: Mapping[str, str]) -> dict[str, str]:
    """What of the supervisor's `own` environment its children get."""
    return {name: value for name, value in own.items() if name not in NOT_INHERITED}


def environment(own: Mapping[str, str], configured: Mapping[str, str], release: Release) -> dict[str, str]:
    """The environment of zygotes and workers: the supervisor's `own` and what is `configured`."""
    result = inherited(own)
    root = _root_off_the_path()
    if root and release.python == sys.executable:
        result["PYTHONPATH"] = os.pathsep.join(filter(None, [result.get("PYTHONPATH"), root]))
    return {**result, **configured}


def _root_off_the_path() -> str:
    """The directory sdserve was imported from, if another interpreter would not look there.

    That is so in a checkout where sdserve was started without having been installed.
    """
    root = str(Path(sdserve.__file__).parent.parent)
    by_itself = {*site.getsitepackages(), site.getusersitepackages()}
    return root if root in sys.path and root not in by_itself else ""


def _open(house: House, zygote: Zygote, prepared: Prepared) -> wire.Open:
    return wire.Open(
        protocol=wire.PROTOCOL,
        version=sdserve.__version__,
        generation=zygote.generation,
        configuration=codec.encode(prepared.configuration),
        since_ns=prepared.since_ns,
        directory=zygote.release.directory,
        site_packages=zygote.release.site_packages,
        listeners=tuple(listener.name for listener in house.listeners),
    )


def _descriptors(house: House, generation: int) -> list[int]:
    return [
        house.scoreboard.memory.fileno(),
        *(listener.socket.fileno() for listener in house.listeners),
        house.mailbox_of(generation).outlet.fileno(),
    ]
