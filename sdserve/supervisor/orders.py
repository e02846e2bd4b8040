"""Orders to zygotes and workers: what the system has no room for now is said again a little later.

A buffer that is full, or a descriptor that cannot be had or sent, is no reason to give anybody up. To each
child orders come in their order. Nothing waits: what is left over is tried again by `retry`.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.host import channel, limits
from sdserve.host.fds import Fd
from sdserve.supervisor import certificates
from sdserve.supervisor.house import House, Order, Worker, Zygote

_log = logging.getLogger("sdserve")

RETRY = 0.05
"""Seconds until what had no room is tried again."""
PATIENCE = 1.0
"""Seconds after which a worker drains without heirs, and a fork has failed."""
MOMENTARY = {
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ETOOMANYREFS,  # descriptors that are sent and not received yet count against a limit: unix(7)
}
"""What passes by itself."""


def retry(house: House) -> Iterator[events.Event]:
    """Say again what is left over; what fails for good is answered."""
    for worker in list(house.workers.values()):
        _say(house, worker)
    for zygote in list(house.zygotes.values()):
        yield from _ask(house, zygote)


def tell(house: House, worker: Worker, order: Order) -> None:
    """Give `worker` the order. Of two of a kind only the last one counts."""
    if not worker.unsaid:
        worker.unsaid_since = monotonic()
    worker.unsaid = [*(one for one in worker.unsaid if type(one) is not type(order)), order]
    _say(house, worker)


def _say(house: House, worker: Worker) -> None:
    while worker.unsaid:
        order = worker.unsaid[0]
        packed: list[Fd] = []
        try:
            if isinstance(order, wire.Certificates):
                packed = certificates.pack(house.prepared[order.generation].materials)
            worker.channel.send(order, [*_descriptors(house, order), *(fd.fileno() for fd in packed)])
        except OSError as error:
            if error.errno not in MOMENTARY:
                # It has closed its end. To hang up means to drain.
                _log.debug("%s cannot be told %s (%s), hanging up", worker, order, error.strerror)
                worker.unsaid.clear()
                house.hang_up(worker.channel)
                return
            if monotonic() - worker.unsaid_since >= PATIENCE and _without_heir(worker, order, error):
                continue
            house.retry_by(monotonic() + RETRY)
            return
        finally:
            for fd in packed:
                fd.close()
        del worker.unsaid[0]


def _descriptors(house: House, order: Order) -> list[int]:
    if not isinstance(order, wire.Drain) or not order.heir:
        return []
    if order.heir == wire.KEEPER:
        inlet = house.keeper.inlet() if house.keeper is not None else -1
        return [inlet] if inlet >= 0 else []  # without one it has no heirs
    return [house.mailbox_of(order.heir).inlet.fileno()]


def _without_heir(worker: Worker, order: Order, error: OSError) -> bool:
    """Whether it may work without a descriptor. One that does not read is for the fleet's deadline."""
    if not isinstance(order, wire.Drain) or not order.heir or error.errno == errno.EAGAIN:
        return False
    _log.warning("%s hands no connection over: %s", worker, limits.reason(error))
    worker.unsaid[0] = replace(order, heir=0)
    return True


def fork(house: House, zygote: Zygote, order: effects.Fork) -> list[events.Event]:
    """Ask `zygote` for a worker; what fails for good. A zygote that is dead answers by its exit."""
    if not zygote.unsaid:
        zygote.unsaid_since = monotonic()
    zygote.unsaid.append(order)
    return _ask(house, zygote)


def _ask(house: House, zygote: Zygote) -> list[events.Event]:
    failed: list[events.Event] = []
    while zygote.unsaid:
        order = zygote.unsaid[0]
        try:
            if is_deaf(zygote):
                raise ConnectionResetError
            _ask_for_worker(house, zygote, order)
        except ConnectionError:
            os.kill(zygote.pid, signal.SIGKILL)  # it is dead already, or better so
            zygote.unsaid.clear()
            break
        except OSError as error:
            if error.errno in MOMENTARY and monotonic() - zygote.unsaid_since < PATIENCE:
                house.retry_by(monotonic() + RETRY)
                break
            reason = limits.reason(error)
            failed.append(events.ForkFailed(generation=order.generation, serial=order.serial, reason=reason))
        del zygote.unsaid[0]
    return failed


def is_deaf(zygote: Zygote) -> bool:
    """Whether it has closed its end: it is about to exit, or will never hear anything again."""
    return zygote.channel.fileno() < 0


def _ask_for_worker(house: House, zygote: Zygote, order: effects.Fork) -> None:
    row = house.take_row()
    ours, theirs = channel.pair()
    worker = Worker(generation=order.generation, serial=order.serial, slot=order.slot, row=row, channel=ours)
    message = wire.ForkWorker(generation=order.generation, serial=order.serial, slot=order.slot, row=row)
    house.admit_worker(worker)
    packed: list[Fd] = []
    try:
        packed = certificates.pack(house.prepared[order.generation].materials)
        zygote.channel.send(message, [theirs.fileno(), *(fd.fileno() for fd in packed)])
    except OSError:
        house.forget_worker(worker)
        raise
    finally:
        theirs.close()
        for fd in packed:
            fd.close()
