"""What the events of a worker cause; `transitions.WORKER_MOVES` says which in which state."""

from __future__ import annotations

from dataclasses import replace

from sdserve.core import catalog
from sdserve.core.fleet import causes, disregard, leaving, queries
from sdserve.core.fleet.effects import Dump, Kill, Log, Serve
from sdserve.core.fleet.events import (
    ForkFailed,
    RecycleAsked,
    WorkerExited,
    WorkerFailed,
    WorkerForked,
    WorkerReady,
    WorkerRecovered,
    WorkerStalled,
)
from sdserve.core.fleet.model import DUMP_TIME, STRAY, Change, Fleet, Worker, WorkerState
from sdserve.core.fleet.status import prospect


def boot(fleet: Fleet, event: WorkerForked, _: float) -> Change:
    """The worker exists; it has until its old deadline to become ready."""
    worker = fleet.workers[event.serial]
    return fleet.with_worker(replace(worker, state=WorkerState.BOOTING, pid=event.pid)), ()


def kill_newborn(fleet: Fleet, event: WorkerForked, _: float) -> Change:
    """Since it was ordered it has been told to go, and it has nothing to finish."""
    born = replace(fleet.workers[event.serial], pid=event.pid)
    return leaving.kill_worker(fleet, born, "told to go before it was born")


def kill_again(fleet: Fleet, event: WorkerForked, _: float) -> Change:
    """The first SIGKILL was ordered when there was nobody to get it."""
    killed = replace(fleet.workers[event.serial], pid=event.pid)
    return fleet.with_worker(killed), (Kill(event.generation, event.serial),)


def kill_stray(fleet: Fleet, event: WorkerForked, _: float) -> Change:
    """Its zygote died, the fork was given up, and now it turns out that it had worked."""
    stray = Worker(
        generation=event.generation,
        serial=event.serial,
        slot=STRAY,
        state=WorkerState.BOOTING,
        pid=event.pid,
    )
    fleet, orders = leaving.kill_worker(fleet, stray, "born after it was given up")
    return fleet, (
        Log("warning", f"{queries.name_of(stray)} was born after it was given up, killing it"),
        *orders,
    )


def give_up_fork(fleet: Fleet, event: ForkFailed, now: float) -> Change:
    """There will be no such worker."""
    worker = fleet.workers[event.serial]
    trouble = f"cannot be forked: {event.reason}"
    fleet = leaving.forget_worker(fleet, worker, trouble, now)
    return fleet, (Log("error", f"{queries.name_of(worker)} {trouble}{_outlook(fleet, worker)}"),)


def forget_unborn(fleet: Fleet, event: ForkFailed, now: float) -> Change:
    """There will be no such worker, nor is there need of one."""
    worker = fleet.workers[event.serial]
    if not worker.is_unborn:
        return disregard.contradict(fleet, event, now)
    return leaving.forget_worker(fleet, worker, worker.reason, now), ()


def serve(fleet: Fleet, event: WorkerReady, now: float) -> Change:
    """From here on it takes connections, and is told to go before it is killed."""
    worker = fleet.workers[event.serial]
    ready = replace(worker, state=WorkerState.READY, deadline=None, ready_since=now, is_dumped=False)
    fleet = fleet.with_worker(ready).with_slot(replace(fleet.slots[worker.slot], trouble=""))
    fleet = fleet.with_generation(replace(fleet.generations[worker.generation], served=True))
    log = Log("info", f"{queries.name_of(worker)} is ready")
    return fleet, (Serve(event.generation, event.serial), log)


def fail_to_boot(fleet: Fleet, event: WorkerFailed, _: float) -> Change:
    """It has until its old deadline to exit, and the reason is told when it has."""
    worker = fleet.workers[event.serial]
    failed = replace(worker, state=WorkerState.FAILED, reason=event.reason)
    return leaving.blame_worker(fleet, worker, f"failed: {event.reason}").with_worker(failed), ()


def fail(fleet: Fleet, event: WorkerFailed, now: float) -> Change:
    """A worker that did serve cannot any more; it may still finish what it has."""
    worker = fleet.workers[event.serial]
    deadline = now + fleet.generations[worker.generation].options.drain_limit
    failed = replace(
        worker, state=WorkerState.FAILED, deadline=deadline, is_dumped=False, reason=event.reason
    )
    return leaving.blame_worker(fleet, worker, f"failed: {event.reason}").with_worker(failed), ()


def note_failure(fleet: Fleet, event: WorkerFailed, _: float) -> Change:
    """It was to go anyhow, but somebody will want to know."""
    return fleet, (Log("error", f"{queries.name_of(fleet.workers[event.serial])} failed: {event.reason}"),)


def note_wish(fleet: Fleet, event: RecycleAsked, now: float) -> Change:
    """It is granted when its turn comes."""
    worker = fleet.workers[event.serial]
    slot = fleet.slots[worker.slot]
    if slot.wish:
        return fleet, ()
    log = Log("info", f"{queries.name_of(worker)} wants to be replaced: {event.reason}")
    return fleet.with_slot(replace(slot, wish=event.reason, wished_at=now)), (log,)


def suspect(fleet: Fleet, event: WorkerStalled, now: float) -> Change:
    """It is killed unless it goes on; before that somebody should see what it is at."""
    worker = fleet.workers[event.serial]
    how = "busy" if event.busy else "blocked"
    reason = f"its loop has not turned for {causes.seconds(event.seconds)}, it is {how}"
    deadline = now + DUMP_TIME
    stalled = replace(worker, state=WorkerState.STALLED, deadline=deadline, is_dumped=True, reason=reason)
    log = Log("error", f"{queries.name_of(worker)} has stalled: {reason}", catalog.WORKER_STALLED)
    return fleet.with_worker(stalled), (log, Dump(event.generation, event.serial))


def go_on(fleet: Fleet, event: WorkerRecovered, _: float) -> Change:
    """Just in time."""
    worker = fleet.workers[event.serial]
    serving = replace(worker, state=WorkerState.READY, deadline=None, is_dumped=False, reason="")
    return fleet.with_worker(serving), (Log("warning", f"{queries.name_of(worker)} goes on"),)


def bury(fleet: Fleet, event: WorkerExited, now: float) -> Change:
    """The worker is gone."""
    worker = fleet.workers[event.serial]
    level, cause = causes.worker_end(worker, event.status, oom=event.oom)
    held = queries.slot_of(fleet, worker) is not None
    fleet = leaving.forget_worker(fleet, worker, cause, now)
    outlook = _outlook(fleet, worker) if held else ""
    message_id = catalog.WORKER_LOST if level == "error" else ""
    return fleet, (Log(level, f"{queries.name_of(worker)} {cause}{outlook}", message_id),)


def _outlook(fleet: Fleet, worker: Worker) -> str:
    """What becomes of the slot that it held until now, unless that was the last straw."""
    if queries.hopelessness(fleet) or worker.generation == fleet.candidate:
        return ""
    return f"; slot {worker.slot}: {prospect(fleet, fleet.slots[worker.slot])}"
