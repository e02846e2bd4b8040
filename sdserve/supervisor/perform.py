"""Carrying out what the fleet decided: one small function for each effect.

None of them knows the state of the fleet, and none waits. What fails is returned as an event; the
fleet decides what to do about it.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from sdserve.config.changes import needing_restart
from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.core.fleet.model import Phase
from sdserve.errors import SdserveError
from sdserve.host import channel, limits, notify, stacks
from sdserve.host.fds import Fd
from sdserve.supervisor import banner, certificates, spawn
from sdserve.supervisor.house import House, Prepared, Worker, Zygote

_log = logging.getLogger("sdserve")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def perform(house: House, effect: effects.Effect) -> list[events.Event]:
    """Carry out `effect` at once and return what went wrong."""
    return _PERFORMERS[type(effect)](house, effect)


def _prepare_generation(house: House, effect: effects.PrepareGeneration) -> list[events.Event]:
    number = effect.generation
    try:
        configuration = house.read_configuration()
        house.prepared[number] = Prepared.of(configuration)
    except (SdserveError, OSError) as error:
        return [events.GenerationRefused(number, reason=str(error))]
    certificates.warn(house.prepared[number].materials)
    remark = ""
    if options := needing_restart(house.configuration, configuration):
        remark = f"a restart is needed for what has changed of {', '.join(options)}"
        _log.warning("generation %d: %s", number, remark)
    return [events.GenerationPrepared(number, options=configuration.fleet, remark=remark)]


def _drop_generation(house: House, effect: effects.DropGeneration) -> list[events.Event]:
    house.prepared.pop(effect.generation, None)
    heir = 0 if house.fleet.phase is Phase.STOPPING else house.fleet.current
    for worker in house.workers.values():
        if worker.heir == effect.generation:  # after a rollback
            _tell_to_drain(house, worker, heir)
    if count := house.drop_mailbox(effect.generation, house.fleet.current):
        _log.info("%d connections for generation %d were passed on", count, effect.generation)
    return []


def _open_generation(house: House, effect: effects.OpenGeneration) -> list[events.Event]:
    number = effect.generation
    try:
        if number not in house.prepared:  # the first, whose configuration we began with
            house.prepared[number] = Prepared.of(house.configuration)
        house.admit_zygote(spawn.start_zygote(house, number, house.prepared[number]))
    except SdserveError as error:
        return [events.ZygoteNotStarted(number, reason=str(error))]
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = f"its interpreter cannot be started: {place}{limits.reason(error)}"
        return [events.ZygoteNotStarted(number, reason=reason)]
    return []


def _close_generation(house: House, effect: effects.CloseGeneration) -> list[events.Event]:
    if zygote := house.zygotes.get(effect.generation):
        if _is_deaf(zygote):
            os.kill(zygote.pid, signal.SIGKILL)
        house.hang_up(zygote.channel)  # which tells it to exit
    return []


def _kill_zygote(house: House, effect: effects.KillZygote) -> list[events.Event]:
    if zygote := house.zygotes.get(effect.generation):
        os.kill(zygote.pid, signal.SIGKILL)
    return []


def _fork(house: House, effect: effects.Fork) -> list[events.Event]:
    zygote = house.zygotes.get(effect.generation)
    if zygote is None:
        return []  # its exit is on its way to the fleet, and answers this as well
    try:
        if _is_deaf(zygote):
            raise ConnectionResetError
        _ask_for_worker(house, zygote, effect)
    except ConnectionError:
        os.kill(zygote.pid, signal.SIGKILL)  # it is dead already, or better so; again its exit is the answer
    except OSError as error:
        reason = limits.reason(error)
        return [events.ForkFailed(generation=effect.generation, serial=effect.serial, reason=reason)]
    return []


def _is_deaf(zygote: Zygote) -> bool:
    """Whether it has closed its end: it is about to exit, or will never hear anything again."""
    return zygote.channel.fileno() < 0


def _ask_for_worker(house: House, zygote: Zygote, effect: effects.Fork) -> None:
    row = house.take_row()
    ours, theirs = channel.pair()
    worker = Worker(
        generation=effect.generation, serial=effect.serial, slot=effect.slot, row=row, channel=ours
    )
    order = wire.ForkWorker(generation=effect.generation, serial=effect.serial, slot=effect.slot, row=row)
    house.admit_worker(worker)
    packed: list[Fd] = []
    try:
        packed = certificates.pack(house.prepared[effect.generation].materials)
        zygote.channel.send(order, [theirs.fileno(), *(fd.fileno() for fd in packed)])
    except OSError:
        house.forget_worker(worker)
        raise
    finally:
        theirs.close()
        for fd in packed:
            fd.close()


def _drain(house: House, effect: effects.Drain) -> list[events.Event]:
    worker = house.workers.get(effect.serial)
    if worker is None:
        return []
    _tell_to_drain(house, worker, effect.heir)
    for other in house.workers.values():
        # Those who drain already may have been told of an heir that is to go itself.
        if other.heir is not None and other.heir != effect.heir:
            _tell_to_drain(house, other, effect.heir)
    return []


def _tell_to_drain(house: House, worker: Worker, heir: int) -> None:
    worker.heir = heir
    order = wire.Drain(generation=worker.generation, serial=worker.serial, heir=heir)
    try:
        worker.channel.send(order, [house.mailbox_of(heir).inlet.fileno()] if heir else [])
    except OSError as error:
        # It does not read, or has closed its end. To hang up means the same to it.
        _log.debug("%s cannot be told to drain (%s), hanging up", worker, error.strerror)
        house.hang_up(worker.channel)


def _dump(house: House, effect: effects.Dump) -> list[events.Event]:
    if worker := house.workers.get(effect.serial):
        _signal_worker(worker, stacks.SIGNAL)
    return []


def _kill(house: House, effect: effects.Kill) -> list[events.Event]:
    if worker := house.workers.get(effect.serial):
        _signal_worker(worker, signal.SIGKILL)
    return []


def _signal_worker(worker: Worker, signum: signal.Signals) -> None:
    # One without a pid is not born yet; the fleet orders it again when it is told of its birth.
    if worker.pid is not None:
        os.kill(worker.pid, signum)  # nobody else's, for it has not been reaped


def _notify_ready(house: House, _: effects.NotifyReady) -> list[events.Event]:
    _tell_manager(house, notify.READY)
    current = house.prepared.get(house.fleet.current)
    if current is not None:
        _log.setLevel(current.configuration.log.level.upper())
    if not house.is_introduced:
        house.is_introduced = True
        banner.show(house)
    return []


def _notify_reloading(house: House, _: effects.NotifyReloading) -> list[events.Event]:
    _tell_manager(house, notify.reloading(monotonic_ns()))
    return []


def _extend_timeout(house: House, effect: effects.ExtendTimeout) -> list[events.Event]:
    _tell_manager(house, notify.extend_timeout(effect.seconds))
    return []


def _reply(house: House, effect: effects.Reply) -> list[events.Event]:
    if house.control is not None:
        house.control.reply(effect.token, ok=effect.ok, text=effect.text)
    return []


def _notify_stopping(house: House, _: effects.NotifyStopping) -> list[events.Event]:
    _tell_manager(house, notify.STOPPING)
    return []


def _notify_status(house: House, effect: effects.NotifyStatus) -> list[events.Event]:
    _tell_manager(house, notify.status(effect.text))
    return []


def _tell_manager(house: House, message: str) -> None:
    try:
        house.tell_manager(message)
    except OSError as error:
        _log.warning("the service manager cannot be told (%s), ignoring", error)


def _write_log(_: House, effect: effects.Log) -> list[events.Event]:
    _log.log(_LEVELS[effect.level], "%s", effect.text)
    return []


def _exit(house: House, effect: effects.Exit) -> list[events.Event]:
    house.exit_code = effect.code
    return []


_PERFORMERS: dict[type[effects.Effect], Callable[[House, Any], list[events.Event]]] = {
    effects.PrepareGeneration: _prepare_generation,
    effects.OpenGeneration: _open_generation,
    effects.CloseGeneration: _close_generation,
    effects.DropGeneration: _drop_generation,
    effects.KillZygote: _kill_zygote,
    effects.Fork: _fork,
    effects.Drain: _drain,
    effects.Dump: _dump,
    effects.Kill: _kill,
    effects.NotifyReady: _notify_ready,
    effects.NotifyReloading: _notify_reloading,
    effects.NotifyStopping: _notify_stopping,
    effects.NotifyStatus: _notify_status,
    effects.ExtendTimeout: _extend_timeout,
    effects.Reply: _reply,
    effects.Log: _write_log,
    effects.Exit: _exit,
}
