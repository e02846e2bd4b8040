"""How the instance is, as the method Status of `io.sdserve` tells it: by the fleet and by the scoreboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import monotonic, time
from typing import Any

from sdserve import __version__
from sdserve.config.changes import needing_restart
from sdserve.core import wire
from sdserve.core.fleet.model import Generation
from sdserve.core.fleet.model import Worker as FleetWorker
from sdserve.core.tls import material as rules
from sdserve.host import scoreboard
from sdserve.host.addresses import describe as describe_address
from sdserve.supervisor import certificates
from sdserve.supervisor.house import House, Prepared

_SHOWN = 3
"""Files that a hint names."""


def describe(house: House) -> dict[str, Any]:
    """The whole status. `core.wire.control` has its definition."""
    now, fleet = monotonic(), house.fleet
    last = fleet.last_reload
    return {
        "name": house.configuration.name,
        "version": __version__,
        "pid": os.getpid(),
        "phase": fleet.phase.name.lower(),
        "status": fleet.status,
        "age": _age(now, house.since),
        "slots": len(fleet.slots),
        "reloading_to": fleet.reload.generation if fleet.reload else None,
        "last_reload": last
        and {"generation": last.generation, "ok": last.ok, "text": last.text, "age": _age(now, last.at)},
        "generations": [_generation(house, generation) for generation in fleet.generations.values()],
        "listeners": [
            {
                "name": listener.name,
                "address": describe_address(listener.socket.getsockname(), listener.socket.family),
            }
            for listener in house.listeners
        ],
        "certificates": _certificates(house),
        "workers": [
            _worker(house, worker, now)
            for worker in sorted(fleet.workers.values(), key=lambda worker: (worker.slot, -worker.serial))
        ],
        "hints": [*_hints(house), *_outdated(house)],
    }


def _generation(house: House, generation: Generation) -> dict[str, Any]:
    prepared = house.prepared.get(generation.number)
    zygote = house.zygotes.get(generation.number)
    return {
        "number": generation.number,
        "role": _role(house, generation),
        "opened_for": generation.opened_for,
        "application": prepared.configuration.app.application if prepared else "",
        "directory": prepared.release.directory if prepared else "",
        "venv": prepared.release.venv if prepared else "",
        "age": _age(monotonic(), prepared.since) if prepared else 0.0,
        "zygote": generation.zygote.name.lower(),
        "zygote_pid": zygote.pid if zygote else None,
        "trouble": generation.trouble,
    }


def _role(house: House, generation: Generation) -> str:
    fleet = house.fleet
    roles = {fleet.previous: "previous", fleet.candidate: "candidate", fleet.current: "current"}
    return roles.get(generation.number, "old")


def _certificates(house: House) -> list[dict[str, Any]]:
    prepared = house.prepared.get(house.fleet.current)
    return certificates.describe(prepared.materials, time()) if prepared else []


def _worker(house: House, worker: FleetWorker, now: float) -> dict[str, Any]:
    known = house.workers.get(worker.serial)
    words = house.row_of(known).words if known else [0] * scoreboard.WORDS
    return {
        "slot": worker.slot,
        "serial": worker.serial,
        "generation": worker.generation,
        "pid": worker.pid,
        "state": worker.state.name.lower(),
        "age": _age(now, known.since) if known else 0.0,
        "requests": words[scoreboard.REQUESTS],
        "in_flight": words[scoreboard.IN_FLIGHT],
        "connections": words[scoreboard.CONNECTIONS],
        "changed": list(known.changed) if known else [],
    }


def _hints(house: House) -> Iterator[str]:
    """What is to be done, as far as it is known without looking."""
    if current := house.prepared.get(house.fleet.current):
        yield from rules.warnings(current.materials, time())
    changed = {path for worker in house.workers.values() for path in worker.changed}
    if changed:
        names = ", ".join(sorted(changed)[:3])
        yield f"not all workers run the same code, reload to have them do so: {names}"


def hints(house: House, fresh: Prepared, program: wire.Prepared) -> Iterator[str]:
    """What a reload, or only a restart, would change, now that `program` has found `fresh`."""
    current = house.prepared.get(house.fleet.current)
    if current is None:
        return
    if program.identity != house.program.identity:
        yield f"sdserve itself has changed ({program.description} is there now), upgrade or reload to use it"
    for name, old, new in (
        ("directory", current.release.directory, fresh.release.directory),
        ("venv", current.release.venv, fresh.release.venv),
    ):
        if old != new:
            yield f"{name} is {new} now, reload to use it"
    if fresh.materials != current.materials and fresh.configuration.listen == current.configuration.listen:
        yield "certificates have changed, `sdserve reload --certificates` to show them"
    if fresh.configuration != current.configuration:
        yield "the configuration has changed, reload to use it"
    if options := needing_restart(house.configuration, fresh.configuration):
        yield f"a restart is needed for what has changed of {', '.join(options)}"


def _outdated(house: House) -> Iterator[str]:
    current = [worker for worker in house.workers.values() if worker.generation == house.fleet.current]
    outdated = {path for worker in current for path in worker.outdated}
    if outdated and house.fleet.reload is None:
        names = ", ".join(sorted(outdated)[:_SHOWN])
        yield f"files of the running code have changed, reload to run the new code: {names}"


def _age(now: float, since: float) -> float:
    """In seconds; there is no more to it than tenths."""
    return round(max(0.0, now - since), 1)
