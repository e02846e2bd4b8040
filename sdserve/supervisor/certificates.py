"""The certificates of the listeners: read when a generation is prepared, and again when somebody asks.

Workers never read the files. They get what was read here: with the order to fork them, and by a message when
there is something new. So all workers of a generation show the same, also one that is started while the files
are being replaced, and what cannot be used is found before anybody is told of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdserve.config.model import Listener
from sdserve.core import wire
from sdserve.core.tls import material as rules
from sdserve.core.tls.material import Material, Materials
from sdserve.errors import CertificateError
from sdserve.host import memfd
from sdserve.host.fds import Fd

if TYPE_CHECKING:
    from sdserve.supervisor.house import House

_log = logging.getLogger("sdserve")


def read(listeners: Iterable[Listener]) -> dict[str, Material]:
    """Read what the listeners that speak TLS need, by their names.

    Raises:
        CertificateError: with the name of the file that is to blame. An expired certificate is none: to serve
            with it, and say so, is better than not to serve.
    """
    secure = [listener for listener in listeners if listener.tls.is_on]
    if not secure:
        return {}
    # OpenSSL takes memory and time, and a supervisor without TLS has no use for it.
    from sdserve.host.tls import read_material

    return {listener.name: read_material(listener.tls) for listener in secure}


def warn(materials: Materials) -> None:
    """Say in the log which of them want to be renewed."""
    for warning in rules.warnings(materials, time.time()):
        _log.warning("%s", warning)


def pack(materials: Materials) -> list[Fd]:
    """Return what travels beside an order to a worker: nothing, or one descriptor, the caller's to close."""
    return [memfd.sealed("sdserve-tls", rules.encode(materials))] if materials else []


def read_valid(listeners: Iterable[Listener]) -> dict[str, Material]:
    """As `read`, for those who are to take the place of others that work.

    Raises:
        CertificateError: also for one that has expired, and if no listener has any.
    """
    materials = read(listeners)
    if not materials:
        raise CertificateError("no listener has a certificate")
    for material in materials.values():
        for pair in material.pairs:
            if trouble := rules.expired(pair, time.time()):
                raise CertificateError(trouble)
    return materials


def use(house: House, materials: Materials) -> str:
    """Have the workers of the current generation show them to new connections; what is said of that.

    No worker is replaced, and connections that there are stay as they are.
    """
    from sdserve.supervisor import orders  # which needs `pack`

    number = house.fleet.current or min(house.prepared)
    house.prepared[number] = replace(house.prepared[number], materials=materials)
    for worker in list(house.workers.values()):
        if worker.generation == number:
            order = wire.Certificates(generation=worker.generation, serial=worker.serial)
            orders.tell(house, worker, order)
    warn(materials)
    lines = [_in_words(summary) for summary in describe(materials, time.time())]
    _log.info("certificates were read again: %s", "; ".join(lines))
    return "\n".join(["new connections are shown the certificates that were read", *lines])


def hand_over(house: House) -> dict[int, Fd]:
    """What another program needs to go on with, by generation, packed; the caller's to close."""
    return {number: fd for number, one in house.prepared.items() for fd in pack(one.materials)}


def take_over(house: House, descriptors: Mapping[str, int]) -> None:
    """Go on with what the program before has handed over. WireError if that makes no sense."""
    for number, descriptor in descriptors.items():
        with Fd(descriptor) as memory:
            materials = rules.decode(memfd.read(memory.fileno()))
        if prepared := house.prepared.get(int(number)):
            house.prepared[int(number)] = replace(prepared, materials=materials)


def describe(materials: Materials, now: float) -> list[dict[str, Any]]:
    """What the status says of each certificate; `now` and what is told are seconds since the epoch."""
    return [
        {
            "listener": name,
            "file": pair.certificate_file,
            "names": list((leaf := rules.leaf_of(pair)).names),
            "not_after": int(leaf.not_after),
            "expires_in": round(leaf.not_after - now, 1),
        }
        for name, material in materials.items()
        for pair in material.pairs
    ]


def _in_words(summary: Mapping[str, Any]) -> str:
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(summary["not_after"]))
    return f"[listen:{summary['listener']}] {', '.join(summary['names'])}: until {until}"
