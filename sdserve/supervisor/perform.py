"""Carrying out what the fleet decided: one small function for each effect.

None of them knows the state of the fleet, and none waits. What fails is returned as an event; the
fleet decides what to do about it.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from typing import Any

from sdserve.core import wire
from sdserve.core.fleet import effects, events
from sdserve.errors import SdserveError
from sdserve.host import channel, limits, notify, release
from sdserve.supervisor import banner, spawn
from sdserve.supervisor.house import House, Worker, Zygote

_log = logging.getLogger("sdserve")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def perform(house: House, effect: effects.Effect) -> list[events.Event]:
    """Carry out `effect` at once and return what went wrong."""
    return _PERFORMERS[type(effect)](house, effect)


def _open_generation(house: House, effect: effects.OpenGeneration) -> list[events.Event]:
    number, app = effect.generation, house.configuration.app
    try:
        if number not in house.releases:
            house.releases[number] = release.resolve(app.directory, app.venv)
        house.admit_zygote(spawn.start_zygote(house, number, house.releases[number]))
    except SdserveError as error:
        return [events.ZygoteNotStarted(number, reason=str(error))]
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = f"its interpreter cannot be started: {place}{limits.reason(error)}"
        return [events.ZygoteNotStarted(number, reason=reason)]
    return []


def _close_generation(house: House, effect: effects.CloseGeneration) -> list[events.Event]:
    house.releases.pop(effect.generation, None)
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
    identity = {"generation": effect.generation, "serial": effect.serial, "slot": effect.slot}
    row = house.take_row()
    ours, theirs = channel.pair()
    worker = Worker(**identity, row=row, channel=ours)
    house.admit_worker(worker)
    try:
        zygote.channel.send(wire.ForkWorker(**identity, row=row), [theirs.fileno()])
    except OSError:
        house.forget_worker(worker)
        raise
    finally:
        theirs.close()


def _drain(house: House, effect: effects.Drain) -> list[events.Event]:
    worker = house.workers.get(effect.serial)
    if worker is None:
        return []
    try:
        worker.channel.send(wire.Drain(generation=effect.generation, serial=effect.serial))
    except OSError as error:
        # It does not read, or has closed its end: the signal means the same to it.
        _log.debug("%s cannot be told to drain (%s), sending SIGTERM", worker, error.strerror)
        _signal_worker(worker, signal.SIGTERM)
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
    _tell_manager(notify.ready)
    banner.show(house)
    return []


def _notify_stopping(_: House, __: effects.NotifyStopping) -> list[events.Event]:
    _tell_manager(notify.stopping)
    return []


def _notify_status(_: House, effect: effects.NotifyStatus) -> list[events.Event]:
    _tell_manager(lambda: notify.status(effect.text))
    return []


def _tell_manager(tell: Callable[[], None]) -> None:
    try:
        tell()
    except OSError as error:
        _log.warning("the service manager cannot be told (%s), ignoring", error)


def _write_log(_: House, effect: effects.Log) -> list[events.Event]:
    _log.log(_LEVELS[effect.level], "%s", effect.text)
    return []


def _exit(house: House, effect: effects.Exit) -> list[events.Event]:
    house.exit_code = effect.code
    return []


_PERFORMERS: dict[type[effects.Effect], Callable[[House, Any], list[events.Event]]] = {
    effects.OpenGeneration: _open_generation,
    effects.CloseGeneration: _close_generation,
    effects.KillZygote: _kill_zygote,
    effects.Fork: _fork,
    effects.Drain: _drain,
    effects.Kill: _kill,
    effects.NotifyReady: _notify_ready,
    effects.NotifyStopping: _notify_stopping,
    effects.NotifyStatus: _notify_status,
    effects.Log: _write_log,
    effects.Exit: _exit,
}
