"""The certificates of the listeners: read when a generation is prepared, and again when somebody asks.

Workers never read the files. They get what was read here: with the order to fork them, and by a message when
there is something new. So all workers of a generation show the same, also one that is started while the files
are being replaced, and what cannot be used is found before anybody is told of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
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


def renew(house: House) -> str:
    """Read the files again, and have all workers show new connections what is in them now.

    Returns what was read. No worker is replaced, and connections that there are stay as they are.

    Raises:
        CertificateError: nothing has changed, and why; also for a certificate that has expired.
    """
    from sdserve.supervisor import orders  # which needs `pack`

    fresh = dict(_read_again(house))
    if not any(fresh.values()):
        raise CertificateError("no listener has a certificate")
    for number, materials in fresh.items():
        house.prepared[number] = replace(house.prepared[number], materials=materials)
        for worker in list(house.workers.values()):
            if worker.generation == number and materials:
                order = wire.Certificates(generation=worker.generation, serial=worker.serial)
                orders.tell(house, worker, order)
    current = fresh[_current(house)]
    warn(current)
    lines = [_in_words(summary) for summary in describe(current, time.time())]
    text = "\n".join(["new connections are shown the certificates that were read", *lines])
    _log.info("certificates were read again: %s", "; ".join(lines))
    return text


def _read_again(house: House) -> Iterator[tuple[int, dict[str, Material]]]:
    for number, prepared in house.prepared.items():
        try:
            materials = read(prepared.configuration.listen)
            for material in materials.values():
                for pair in material.pairs:
                    if trouble := rules.expired(pair, time.time()):
                        raise CertificateError(trouble)
        except CertificateError as error:
            if number == _current(house):
                raise
            # What it was configured with may be gone by now, and so will it be soon.
            _log.warning("generation %d keeps the certificates it has: %s", number, error)
        else:
            yield number, materials


def _current(house: House) -> int:
    return house.fleet.current or min(house.prepared)


def find_again(house: House) -> None:
    """Read what an earlier program has read: keys are not written down when another takes over."""
    for number, prepared in house.prepared.items():
        try:
            house.prepared[number] = replace(prepared, materials=read(prepared.configuration.listen))
        except CertificateError as error:
            _log.error("generation %d can start no more workers: %s", number, error)


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
