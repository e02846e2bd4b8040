"""What a supervisor knows and holds, written down for the one that comes after it.

    describe(house)      a dict of JSON values; descriptors stand in it by number
    read(content)        what such a document, of any version of sdserve, says
    rebuild(saved, ...)  the house as it was, its descriptors taken over

One that takes the place of another by execve(2) finds all descriptors open (`descriptors` lists them), the
children its own, and goes on. One that was started after another has died has only what the document says.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sdserve import __version__
from sdserve.config import codec
from sdserve.config.model import Configuration
from sdserve.core import wire
from sdserve.core.fleet import snapshot
from sdserve.core.fleet.model import Fleet
from sdserve.errors import WireError
from sdserve.host import process
from sdserve.host.channel import Channel
from sdserve.host.fds import Fd
from sdserve.host.listeners import ListenSocket
from sdserve.host.mailbox import Mailbox
from sdserve.host.release import Release
from sdserve.host.scoreboard import WORDS, Scoreboard
from sdserve.host.signals import Signals
from sdserve.supervisor.house import House, Prepared, Program, Worker, Zygote

FORMAT = 1
"""Raised when older versions must not read it. What is added has a default, what is there keeps its meaning.
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A document that has been understood."""

    version: str
    protocol: int
    """In which the writer speaks to its zygotes."""
    fleet: Fleet
    configuration: Configuration
    prepared: dict[int, Prepared]
    said: Mapping[str, Any]
    """All of it."""


def describe(house: House) -> dict[str, Any]:
    """The document."""
    return {
        "format": FORMAT,
        "version": __version__,
        "protocol": wire.PROTOCOL,
        "fleet": snapshot.encode(house.fleet),
        "configuration": codec.encode(house.configuration),
        "prepared": {str(number): _prepared(one) for number, one in house.prepared.items()},
        "listeners": [
            {
                "name": one.name,
                "descriptor": one.socket.fileno(),
                "created": one.created,
                "is_passed": one.is_passed,
                "kept": one.kept,
            }
            for one in house.listeners
        ],
        "scoreboard": {"descriptor": house.scoreboard.memory.fileno(), "words": WORDS},
        "mailboxes": {
            str(number): {"inlet": one.inlet.fileno(), "outlet": one.outlet.fileno()}
            for number, one in house.mailboxes.items()
        },
        "zygotes": [
            {"generation": one.generation, "pid": one.pid, "descriptor": one.channel.fileno()}
            for one in house.zygotes.values()
        ],
        "workers": [_worker(one) for one in house.workers.values()],
        "preparers": [one.pid for one in house.preparations.values()],
        "early_exits": {str(pid): status for pid, status in house.early_exits.items()},
        "leftovers": house.leftovers.describe(),
        "record": house.keeper.record.memory.fileno() if house.keeper else None,
        "control": house.control.describe() if house.control else None,
        "since": house.since,
        "interface": house.interface,
    }


def _prepared(prepared: Prepared) -> dict[str, Any]:
    return {
        "configuration": codec.encode(prepared.configuration),
        "release": dataclasses.asdict(prepared.release),
        "since": prepared.since,
        "since_ns": prepared.since_ns,
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "generation": worker.generation,
        "serial": worker.serial,
        "slot": worker.slot,
        "row": worker.row,
        "descriptor": worker.channel.fileno(),
        "since": worker.since,
        "pid": worker.pid,
        "started": worker.started,
        "changed": list(worker.changed),
        "outdated": sorted(worker.outdated),
    }


def descriptors(house: House) -> Iterator[int]:
    """The descriptors that `describe` names, borrowed."""
    yield from (one.socket.fileno() for one in house.listeners)
    yield house.scoreboard.memory.fileno()
    for mailbox in house.mailboxes.values():
        yield from (mailbox.inlet.fileno(), mailbox.outlet.fileno())
    children: list[Zygote | Worker] = [*house.zygotes.values(), *house.workers.values()]
    yield from (one.channel.fileno() for one in children if one.channel.fileno() >= 0)
    if house.keeper is not None:
        yield house.keeper.record.memory.fileno()
    if house.control is not None:
        yield from house.control.descriptors()


def read(content: bytes) -> Saved:
    """Understand a document. WireError if that is impossible."""
    try:
        said = json.loads(content)
        if said["format"] != FORMAT:
            raise WireError(
                f"it has the format {said['format']}, this is sdserve {__version__} with {FORMAT}"
            )
        if said["scoreboard"]["words"] != WORDS:
            raise WireError(f"its scoreboard has rows of {said['scoreboard']['words']} words, not {WORDS}")
        return Saved(
            version=said["version"],
            protocol=said["protocol"],
            fleet=snapshot.decode(said["fleet"]),
            configuration=codec.decode(said["configuration"]),
            prepared={int(number): _read_prepared(one) for number, one in said["prepared"].items()},
            said=said,
        )
    except WireError as error:
        raise WireError(f"the state of the supervisor cannot be read: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise WireError(f"the state of the supervisor cannot be read: {what}") from None


def _read_prepared(said: Mapping[str, Any]) -> Prepared:
    return Prepared(
        configuration=codec.decode(said["configuration"]),
        release=read_release(said["release"]),
        since=said["since"],
        since_ns=said["since_ns"],
    )


def read_release(said: Mapping[str, Any]) -> Release:
    """A release from its fields. KeyError or TypeError if one is missing or wrong."""
    return Release(
        directory=str(said["directory"]),
        python=str(said["python"]),
        venv=str(said.get("venv", "")),
        site_packages=tuple(map(str, said.get("site_packages", ()))),
    )


def rebuild(saved: Saved, *, program: Program, signals: Signals, zygote_command: tuple[str, ...]) -> House:
    """Take over everything that was written down but the control socket. KeyError, OSError, TypeError or
    ValueError if the document is wrong about it.
    """
    said = saved.said
    house = House(
        configuration=saved.configuration,
        program=program,
        listeners=[_listener(one) for one in said["listeners"]],
        scoreboard=Scoreboard(Fd(said["scoreboard"]["descriptor"])),
        signals=signals,
        zygote_command=zygote_command,
        fleet=saved.fleet,
        prepared=saved.prepared,
        mailboxes={int(number): _mailbox(one) for number, one in said["mailboxes"].items()},
        early_exits={int(pid): status for pid, status in said["early_exits"].items()},
        since=said["since"],
        interface=said["interface"],
        is_introduced=True,
    )
    for one in said["zygotes"]:
        channel = _adopt(one["descriptor"], Channel)
        release = saved.prepared[one["generation"]].release
        house.admit_zygote(
            Zygote(generation=one["generation"], release=release, pid=one["pid"], channel=channel)
        )
    for one in said["workers"]:
        house.admit_worker(_rebuild_worker(one))
    for pid, started, deadline in said["leftovers"]:
        house.leftovers.add(pid, started, deadline)
    for pid in said["preparers"]:
        process.kill_child(pid)  # nobody hears what it finds
    return house


def _rebuild_worker(said: Mapping[str, Any]) -> Worker:
    return Worker(
        generation=said["generation"],
        serial=said["serial"],
        slot=said["slot"],
        row=said["row"],
        channel=_adopt(said["descriptor"], Channel),
        since=said["since"],
        pid=said["pid"],
        started=said["started"],
        changed=tuple(said["changed"]),
        outdated=set(said["outdated"]),
    )


def _listener(said: Mapping[str, Any]) -> ListenSocket:
    created = said["created"]
    return ListenSocket(
        said["name"],
        _socket(said["descriptor"]),
        tuple(created) if created else None,
        is_passed=said["is_passed"],
        kept=said["kept"],
    )


def _mailbox(said: Mapping[str, Any]) -> Mailbox:
    return Mailbox(_socket(said["inlet"]), _socket(said["outlet"]))


def _adopt(number: int, owner: Callable[[socket.socket], T]) -> T:
    """One that had been closed is a closed one again."""
    if number >= 0:
        return owner(_socket(number))
    closed = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    closed.close()
    return owner(closed)


def _socket(number: int) -> socket.socket:
    adopted = socket.socket(fileno=Fd(number).steal())
    adopted.setblocking(False)
    return adopted
