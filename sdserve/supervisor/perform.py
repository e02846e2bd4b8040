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

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.core.fleet.model import Phase
from sdserve.errors import SdserveError
from sdserve.host import limits, logs, notify, stacks
from sdserve.supervisor import banner, mail, orders, preparing, spawn
from sdserve.supervisor.house import House, Worker

_log = logging.getLogger("sdserve")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def perform(house: House, effect: effects.Effect) -> list[events.Event]:
    """Carry out `effect` at once and return what went wrong."""
    return _PERFORMERS[type(effect)](house, effect)


def _prepare_generation(house: House, effect: effects.PrepareGeneration) -> list[events.Event]:
    return preparing.prepare(house, effect.generation, upgrade=effect.upgrade)


def _replace_program(house: House, effect: effects.ReplaceProgram) -> list[events.Event]:
    house.replacement = effect.generation  # by the loop, when everything else is done
    return []


def _drop_generation(house: House, effect: effects.DropGeneration) -> list[events.Event]:
    preparing.drop(house, effect.generation)
    if house.replacement == effect.generation:
        house.replacement = 0
    house.prepared.pop(effect.generation, None)
    mail.drop(house, effect.generation, effect.heir)
    return []


def _open_generation(house: House, effect: effects.OpenGeneration) -> list[events.Event]:
    number = effect.generation
    try:
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
        if orders.is_deaf(zygote):
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
    return orders.fork(house, zygote, effect)


def _serve(house: House, effect: effects.Serve) -> list[events.Event]:
    if worker := house.workers.get(effect.serial):
        orders.tell(house, worker, wire.Serve(generation=worker.generation, serial=worker.serial))
    return []


def _drain(house: House, effect: effects.Drain) -> list[events.Event]:
    if worker := house.workers.get(effect.serial):
        heir = effect.heir
        if not heir and house.fleet.phase is Phase.STOPPING and house.keeper is not None:
            heir = wire.KEEPER
        order = wire.Drain(generation=worker.generation, serial=worker.serial, heir=heir)
        orders.tell(house, worker, order)
    return []


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
    house.tell_manager(notify.READY)
    current = house.prepared.get(house.fleet.current)
    if current is not None:
        _log.setLevel(current.configuration.log.level.upper())
    if not house.is_introduced:
        house.is_introduced = True
        banner.show(house)
    return []


def _notify_reloading(house: House, _: effects.NotifyReloading) -> list[events.Event]:
    house.tell_manager(notify.reloading(monotonic_ns()))
    return []


def _extend_timeout(house: House, effect: effects.ExtendTimeout) -> list[events.Event]:
    house.tell_manager(notify.extend_timeout(effect.seconds))
    return []


def _reply(house: House, effect: effects.Reply) -> list[events.Event]:
    if house.control is not None:
        house.control.reply(effect.token, ok=effect.ok, text=effect.text)
    return []


def _notify_stopping(house: House, _: effects.NotifyStopping) -> list[events.Event]:
    house.tell_manager(notify.STOPPING)
    return []


def _notify_status(house: House, effect: effects.NotifyStatus) -> list[events.Event]:
    house.tell_manager(notify.status(effect.text))
    return []


def _write_log(_: House, effect: effects.Log) -> list[events.Event]:
    _log.log(_LEVELS[effect.level], "%s", effect.text, extra={logs.MESSAGE_ID: effect.message_id})
    return []


def _exit(house: House, effect: effects.Exit) -> list[events.Event]:
    if house.keeper is not None:
        house.keeper.finish(house)
    house.exit_code = effect.code
    return []


_PERFORMERS: dict[type[effects.Effect], Callable[[House, Any], list[events.Event]]] = {
    effects.PrepareGeneration: _prepare_generation,
    effects.ReplaceProgram: _replace_program,
    effects.OpenGeneration: _open_generation,
    effects.CloseGeneration: _close_generation,
    effects.DropGeneration: _drop_generation,
    effects.KillZygote: _kill_zygote,
    effects.Fork: _fork,
    effects.Serve: _serve,
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
