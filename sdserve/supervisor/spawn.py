"""Starting a zygote: fork and exec of an interpreter that knows nothing of ours."""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import sdserve
from sdserve.config import codec
from sdserve.core import wire
from sdserve.host import activation, channel
from sdserve.host.release import Release
from sdserve.supervisor.house import House, Prepared, Zygote

NOT_INHERITED = (*activation.VARIABLES, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What the service manager tells the supervisor and nobody else."""


def start_zygote(house: House, generation: int, prepared: Prepared) -> Zygote:
    """Start the zygote of `generation` and tell it what to become.

    OSError if the interpreter cannot be started, WireError if the configuration fits no message.
    """
    release = prepared.release
    ours, theirs = channel.pair()
    try:
        process = subprocess.Popen(
            [release.python, *house.zygote_command, str(theirs.fileno())],
            cwd=release.directory,
            env=environment(os.environ, prepared.configuration.environment, release),
            pass_fds=[theirs.fileno()],
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    zygote = Zygote(generation=generation, release=release, process=process, channel=ours)
    try:
        ours.send(_open(house, zygote, prepared), _descriptors(house, generation))
    except BaseException:
        process.kill()
        process.returncode = -signal.SIGKILL  # reaped with all others, by `observe`
        ours.close()
        raise
    return zygote


def environment(own: Mapping[str, str], configured: Mapping[str, str], release: Release) -> dict[str, str]:
    """The environment of zygotes and workers: the supervisor's `own` and what is `configured`."""
    result = {name: value for name, value in own.items() if name not in NOT_INHERITED}
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
