"""What happened outside, as events: messages of our children, their ends, signals, time.

A batch is read in an order in which nothing overtakes its cause: zygotes first (they announce
workers), then workers, then the ends of both; and the last words of a process before its end.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping
from time import monotonic

from sdserve import __version__
from sdserve.core import wire
from sdserve.core.fleet import events
from sdserve.errors import WireError
from sdserve.host import process, usage
from sdserve.supervisor import mail, orders, preparing
from sdserve.supervisor.control import NOBODY
from sdserve.supervisor.house import House, Preparation, Worker, Zygote

_log = logging.getLogger("sdserve")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RELOAD_SIGNAL = signal.SIGHUP
"""Unless the terminal that we were started from is gone: then it asks to stop."""
UPGRADE_SIGNAL = signal.SIGUSR2
SCALE_SIGNALS = {signal.SIGTTIN: 1, signal.SIGTTOU: -1}
"""By how many workers."""
REPEAT = 0.3
"""Seconds within which a second signal to stop is taken for an echo of the first."""
SIGNALS = (*STOP_SIGNALS, RELOAD_SIGNAL, UPGRADE_SIGNAL, *SCALE_SIGNALS, signal.SIGCHLD)
KEPT_IGNORED = (signal.SIGINT, signal.SIGHUP)
"""Who starts us with one of these ignored, as nohup and a shell's background jobs do, means us as well."""

_MOST_AT_ONCE = 100
"""Messages of one child that are read before the others get their turn."""

Events = Iterator[events.Event]


def wait(house: House, deadline: float | None) -> Events:
    """Wait until something happens, but no longer than `deadline` (seconds, CLOCK_MONOTONIC)."""
    moments = (deadline, house.retry_at, *(lookout.next_look(house) for lookout in house.lookouts))
    until = min((moment for moment in moments if moment is not None), default=None)
    ready = dict(house.poller.poll(None if until is None else max(0.0, until - monotonic())))
    yield from _hear_children(house, ready)
    if house.signals.fileno() in ready:
        yield from _take_signals(house)
    if house.manager.is_behind and house.manager.fileno() in ready:
        house.catch_up()
    if house.keeper is not None:
        house.keeper.take(house, ready)
    if house.control is not None:
        yield from house.control.take(ready)
    yield from _look_around(house)
    if deadline is not None and monotonic() >= deadline:
        yield events.TimePassed()


def _hear_children(house: House, ready: Mapping[int, int]) -> Events:
    for preparation in list(house.preparations.values()):
        if preparation.channel.fileno() in ready:
            yield from _hear_preparation(house, preparation)
    for zygote in list(house.zygotes.values()):
        if zygote.channel.fileno() in ready:
            yield from _hear_zygote(house, zygote)
    for worker in list(house.workers.values()):
        if worker.channel.fileno() in ready:
            yield from _hear_worker(house, worker)


def _look_around(house: House) -> Events:
    for lookout in house.lookouts:
        now, look = monotonic(), lookout.next_look(house)
        if look is not None and now >= look:
            yield from lookout.look(house, now)
    if house.retry_at is not None and monotonic() >= house.retry_at:
        house.retry_at = None
        mail.pass_on(house)
        yield from orders.retry(house)


def _take_signals(house: House) -> Events:
    came = house.signals.read()
    now = monotonic()
    hung_up = RELOAD_SIGNAL in came and house.terminal.is_gone()
    # One key press may reach us twice, from the terminal and from whoever started us (sudo, timeout): it is
    # asked once. A second one of its own means at once.
    if (hung_up or not came.isdisjoint(STOP_SIGNALS)) and now - house.stop_asked >= REPEAT:
        house.stop_asked = now
        yield events.StopAsked()
    if RELOAD_SIGNAL in came and not hung_up:
        yield events.ReloadAsked(NOBODY)
    if UPGRADE_SIGNAL in came:
        yield events.ReloadAsked(NOBODY, upgrade=True)
    for signum, by in SCALE_SIGNALS.items():
        if signum in came:
            yield events.ScaleChanged(by)
    if signal.SIGCHLD in came:
        yield from _take_exits(house, list(process.reap()))


def _take_exits(house: House, exits: list[tuple[int, int]]) -> Events:
    victims = house.watch.oom_victims(sum(status == -signal.SIGKILL for _, status in exits))
    for pid, status in exits:
        oom = status == -signal.SIGKILL and victims > 0
        victims -= oom
        yield from _take_exit(house, pid, status, oom=oom)


def _take_exit(house: House, pid: int, status: int, *, oom: bool) -> Events:
    for zygote in list(house.zygotes.values()):
        if zygote.pid == pid:
            yield from _zygote_exited(house, zygote, status)
            return
    for worker in list(house.workers.values()):
        if worker.pid == pid:
            yield from _worker_exited(house, worker, status, oom=oom)
            return
    for preparation in list(house.preparations.values()):
        if preparation.pid == pid:
            yield from _hear_preparation(house, preparation)
            yield from preparing.bury(house, preparation, status)
            return
    # An orphan that an application left to us, or a worker whose zygote has yet to announce it.
    if any(worker.pid is None for worker in house.workers.values()):
        house.early_exits[pid] = status
    else:
        house.early_exits.clear()


def _hear_preparation(house: House, preparation: Preparation) -> Events:
    for message in _messages(house, preparation):
        yield from preparing.take(house, preparation, message)


def _zygote_exited(house: House, zygote: Zygote, status: int) -> Events:
    yield from _hear_zygote(house, zygote)
    for worker in house.unborn(zygote.generation):
        house.forget_worker(worker)
    house.forget_zygote(zygote)
    yield events.ZygoteExited(generation=zygote.generation, status=status)


def _worker_exited(house: House, worker: Worker, status: int, *, oom: bool = False) -> Events:
    yield from _hear_worker(house, worker)
    house.forget_worker(worker)
    yield events.WorkerExited(generation=worker.generation, serial=worker.serial, status=status, oom=oom)


def _hear_zygote(house: House, zygote: Zygote) -> Events:
    for message in _messages(house, zygote):
        if message.generation != zygote.generation:
            _log.warning("%s spoke of generation %d, ignoring", zygote, message.generation)
            continue
        match message:
            case wire.Opened():
                yield from _zygote_opened(house, zygote, message)
            case wire.OpenFailed():
                if message.traceback:
                    _log.error("%s failed:\n%s", zygote, message.traceback)
                yield events.ZygoteFailed(generation=message.generation, reason=message.reason)
            case wire.Forked():
                yield from _worker_forked(house, zygote, message)
            case wire.ForkRefused(generation=generation, serial=serial, reason=reason):
                if worker := house.worker_of(generation, serial):
                    house.forget_worker(worker)
                    yield events.ForkFailed(generation=generation, serial=serial, reason=reason)
            case _:
                _log.warning("%s sent %s, ignoring", zygote, type(message).__name__)


def _zygote_opened(house: House, zygote: Zygote, message: wire.Opened) -> Events:
    if message.protocol != wire.PROTOCOL:
        house.hang_up(zygote.channel)  # which ends it
        theirs = f"the sdserve {message.version} (protocol {message.protocol}) of {zygote.release.python}"
        ours = f"sdserve {__version__} (protocol {wire.PROTOCOL})"
        reason = f"{ours} cannot use {theirs}; install the same version on both sides"
        yield events.ZygoteFailed(generation=zygote.generation, reason=reason)
        return
    _log.info(
        "generation %d opened: directory %s, %sPython %s",
        zygote.generation,
        zygote.release.directory,
        f"venv {zygote.release.venv}, " if zygote.release.venv else "",
        message.python,
    )
    yield events.ZygoteReady(generation=zygote.generation)


def _worker_forked(house: House, zygote: Zygote, message: wire.Forked) -> Events:
    exited = house.early_exits.pop(message.pid, None)
    if process.is_child(message.pid):
        exited = None  # that was another process, which had the number before
    elif exited is None:
        _refuse(house, zygote, f"process {message.pid}, which it claims to have forked, is not our child")
        return
    worker = house.worker_of(message.generation, message.serial)
    if worker is None or worker.pid is not None:
        _refuse(house, zygote, f"it was not asked for the worker {message.serial} that it forked")
        return
    worker.pid = message.pid
    worker.started = usage.started(message.pid)
    yield events.WorkerForked(generation=worker.generation, serial=worker.serial, pid=message.pid)
    if exited is not None:
        yield from _worker_exited(house, worker, exited)


def _hear_worker(house: House, worker: Worker) -> Events:
    generation, serial = worker.generation, worker.serial
    for message in _messages(house, worker):
        if (message.generation, getattr(message, "serial", None)) != (generation, serial):
            _log.warning("%s spoke of another worker, ignoring", worker)
            continue
        match message:
            case wire.Ready(interface=interface, changed=changed):
                house.interface = interface
                _note_changes(worker, changed)
                yield events.WorkerReady(generation=generation, serial=serial)
            case wire.BootFailed(reason=reason):
                # The worker has written the traceback itself.
                yield events.WorkerFailed(generation=generation, serial=serial, reason=reason)
            case wire.CodeChanged(changed=changed):
                _note_outdated(house, worker, set(changed))
            case wire.RecycleAsked(reason=reason):
                yield events.RecycleAsked(generation, serial, reason)
            case _:
                _log.warning("%s sent %s, ignoring", worker, type(message).__name__)


def _note_changes(worker: Worker, changed: tuple[str, ...]) -> None:
    worker.changed = changed
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        _log.warning(
            "%s runs code that is newer than its generation: %s%s; reload to have all workers run the same",
            worker,
            changed[0],
            more,
        )


def _note_outdated(house: House, worker: Worker, changed: set[str]) -> None:
    """Each worker of the generation will find the same; it is said once."""
    others = [one for one in house.workers.values() if one.generation == worker.generation]
    new = sorted(changed - {path for one in others for path in one.outdated})
    worker.outdated |= changed
    if new:
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        _log.warning(
            "files of the code that generation %d runs have changed: %s%s; reload to run the new code",
            worker.generation,
            new[0],
            more,
        )


def _messages(house: House, child: Preparation | Zygote | Worker) -> Iterator[wire.Message]:
    """The messages of `child` that wait. When it hangs up, so do we."""
    for _ in range(_MOST_AT_ONCE):
        if child.channel.fileno() < 0:
            return
        try:
            received = child.channel.receive()
        except BlockingIOError:
            return
        except WireError as error:
            _refuse(house, child, str(error))
            return
        if received is None:
            house.hang_up(child.channel)
            return
        if isinstance(child, Preparation):
            child.descriptors += received.descriptors
            received.descriptors.clear()
        for descriptor in received.descriptors:
            descriptor.close()  # no message to us carries any
        yield received.message


def _refuse(house: House, child: Preparation | Zygote | Worker, why: str) -> None:
    """End a process that does not keep to the language: nobody knows what else it does."""
    _log.error("%s makes no sense, killing it: %s", child, why)
    house.hang_up(child.channel)
    if child.pid is not None:
        process.kill_child(child.pid)  # these may be its last words
