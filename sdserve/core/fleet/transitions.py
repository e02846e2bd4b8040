"""The fleet's transitions on one page: what each event causes in each state.

Two laws:

1. Everything the supervisor decides is decided in this package: caused by an event, which the
   tables below show, or following from the state alone, which is in `rules`. What carries the
   decisions out (`sdserve.supervisor`) may fail, and then tells so by an event, but never chooses.

2. This package does not know how anything is done: no process, descriptor or clock. What it has
   not been told has not happened; what it has ordered has not happened until that is told. So
   every message names whom it is about, and one that comes late finds that worker, or nobody.

There are three machines: the fleet has a phase, each generation has a zygote, each worker has a
state. An event belongs to one machine and is looked up by its state; a worker or zygote unknown
to the fleet is GONE. The tables are total: what is ignored is written out. `ignore` is for what
does happen, because orders and news cross on their way; `contradict` for what does not, unless
whoever tells the events is wrong.

A handler changes its own machine. That a slot without a worker needs one, that nobody is left so
that it is time to exit: such things follow from the state however it came about, and stand in
`rules` once, not here in each row.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdserve.core.fleet import fleet_moves as fleet
from sdserve.core.fleet import request_moves as request
from sdserve.core.fleet import worker_moves as worker
from sdserve.core.fleet import zygote_moves as zygote
from sdserve.core.fleet.disregard import contradict, ignore
from sdserve.core.fleet.events import (
    Event,
    ForkFailed,
    GenerationPrepared,
    GenerationRefused,
    ProgramNotReplaced,
    RecycleAsked,
    ReloadAsked,
    Resumed,
    ScaleAsked,
    ScaleChanged,
    Started,
    StopAsked,
    TimePassed,
    WentIdle,
    WorkerExited,
    WorkerFailed,
    WorkerForked,
    WorkerReady,
    WorkerRecovered,
    WorkerStalled,
    ZygoteExited,
    ZygoteFailed,
    ZygoteNotStarted,
    ZygoteReady,
)
from sdserve.core.fleet.model import Move, Phase, WorkerState, ZygoteState

Row = Mapping[type[Event], Move]

FLEET_MOVES: Mapping[Phase, Row] = {
    Phase.NEW: {
        Started: fleet.begin,
        Resumed: contradict,
        ReloadAsked: request.refuse,
        ScaleAsked: request.refuse,
        ScaleChanged: ignore,
        StopAsked: fleet.stop,
        WentIdle: ignore,
        TimePassed: ignore,
    },
    Phase.BOOTING: {
        Started: contradict,
        Resumed: fleet.resume,
        ReloadAsked: request.reload,
        ScaleAsked: request.scale,
        ScaleChanged: request.scale_by,
        StopAsked: fleet.stop,
        WentIdle: ignore,
        TimePassed: fleet.judge,
    },
    Phase.SERVING: {
        Started: contradict,
        Resumed: fleet.resume,
        ReloadAsked: request.reload,
        ScaleAsked: request.scale,
        ScaleChanged: request.scale_by,
        StopAsked: fleet.stop,
        WentIdle: fleet.stop_idle,
        TimePassed: fleet.judge,
    },
    Phase.STOPPING: {
        Started: contradict,
        Resumed: fleet.resume,
        ReloadAsked: request.refuse,
        ScaleAsked: request.refuse,
        ScaleChanged: ignore,
        StopAsked: fleet.stop_at_once,
        WentIdle: ignore,
        TimePassed: fleet.judge,
    },
    Phase.ENDED: {
        Started: ignore,
        Resumed: ignore,
        ReloadAsked: ignore,
        ScaleAsked: ignore,
        ScaleChanged: ignore,
        StopAsked: ignore,
        WentIdle: ignore,
        TimePassed: ignore,
    },
}

ZYGOTE_MOVES: Mapping[ZygoteState, Row] = {
    ZygoteState.PREPARING: {
        GenerationPrepared: zygote.make_ready,
        GenerationRefused: zygote.refuse,
        ProgramNotReplaced: contradict,
        ZygoteReady: contradict,
        ZygoteNotStarted: contradict,
        ZygoteFailed: contradict,
        ZygoteExited: contradict,
    },
    ZygoteState.REPLACING: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: zygote.refuse,
        ZygoteReady: contradict,
        ZygoteNotStarted: contradict,
        ZygoteFailed: contradict,
        ZygoteExited: contradict,
    },
    ZygoteState.ABSENT: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: contradict,
        ZygoteReady: contradict,
        ZygoteNotStarted: contradict,
        ZygoteFailed: contradict,
        ZygoteExited: contradict,
    },
    ZygoteState.OPENING: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: contradict,
        ZygoteReady: zygote.open_up,
        ZygoteNotStarted: zygote.do_without,
        ZygoteFailed: zygote.dismiss,
        ZygoteExited: zygote.lose,
    },
    ZygoteState.OPEN: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: contradict,
        ZygoteReady: contradict,
        ZygoteNotStarted: contradict,
        ZygoteFailed: zygote.dismiss,
        ZygoteExited: zygote.lose,
    },
    ZygoteState.FAILED: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: contradict,
        ZygoteReady: contradict,
        ZygoteNotStarted: contradict,
        ZygoteFailed: ignore,
        ZygoteExited: zygote.lose,
    },
    ZygoteState.CLOSING: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: contradict,
        ZygoteReady: contradict,
        ZygoteNotStarted: contradict,
        ZygoteFailed: ignore,
        ZygoteExited: zygote.let_go,
    },
    ZygoteState.KILLED: {
        GenerationPrepared: contradict,
        GenerationRefused: contradict,
        ProgramNotReplaced: contradict,
        ZygoteReady: ignore,
        ZygoteNotStarted: zygote.do_without,
        ZygoteFailed: ignore,
        ZygoteExited: zygote.lose,
    },
    ZygoteState.GONE: {
        GenerationPrepared: zygote.drop_stray,  # given up while it was being prepared
        GenerationRefused: ignore,
        ProgramNotReplaced: ignore,
        ZygoteReady: ignore,
        ZygoteNotStarted: ignore,
        ZygoteFailed: ignore,
        ZygoteExited: ignore,
    },
}

WORKER_MOVES: Mapping[WorkerState, Row] = {
    WorkerState.FORKING: {
        WorkerForked: worker.boot,
        ForkFailed: worker.give_up_fork,
        WorkerReady: contradict,  # the zygote is heard before its workers
        WorkerFailed: contradict,
        RecycleAsked: contradict,
        WorkerStalled: contradict,
        WorkerRecovered: contradict,
        WorkerExited: worker.bury,  # the same holds, but an end is an end
    },
    WorkerState.BOOTING: {
        WorkerForked: contradict,
        ForkFailed: contradict,
        WorkerReady: worker.serve,
        WorkerFailed: worker.fail_to_boot,
        RecycleAsked: contradict,
        WorkerStalled: contradict,
        WorkerRecovered: contradict,
        WorkerExited: worker.bury,
    },
    WorkerState.READY: {
        WorkerForked: contradict,
        ForkFailed: contradict,
        WorkerReady: ignore,
        WorkerFailed: worker.fail,
        RecycleAsked: worker.note_wish,
        WorkerStalled: worker.suspect,
        WorkerRecovered: ignore,
        WorkerExited: worker.bury,
    },
    WorkerState.STALLED: {
        WorkerForked: contradict,
        ForkFailed: contradict,
        WorkerReady: ignore,
        WorkerFailed: worker.fail,
        RecycleAsked: worker.note_wish,  # what it said before
        WorkerStalled: ignore,
        WorkerRecovered: worker.go_on,
        WorkerExited: worker.bury,
    },
    WorkerState.FAILED: {
        WorkerForked: contradict,
        ForkFailed: contradict,
        WorkerReady: ignore,
        WorkerFailed: ignore,  # what it said first is the cause
        RecycleAsked: ignore,
        WorkerStalled: ignore,
        WorkerRecovered: ignore,
        WorkerExited: worker.bury,
    },
    WorkerState.DRAINING: {
        WorkerForked: worker.kill_newborn,
        ForkFailed: worker.forget_unborn,
        WorkerReady: ignore,
        WorkerFailed: worker.note_failure,
        RecycleAsked: ignore,
        WorkerStalled: ignore,
        WorkerRecovered: ignore,
        WorkerExited: worker.bury,
    },
    WorkerState.KILLED: {
        WorkerForked: worker.kill_again,
        ForkFailed: worker.forget_unborn,
        WorkerReady: ignore,
        WorkerFailed: ignore,
        RecycleAsked: ignore,
        WorkerStalled: ignore,
        WorkerRecovered: ignore,
        WorkerExited: worker.bury,
    },
    WorkerState.GONE: {
        WorkerForked: worker.kill_stray,
        ForkFailed: ignore,  # given up before, when its zygote died
        WorkerReady: ignore,
        WorkerFailed: ignore,
        RecycleAsked: ignore,
        WorkerStalled: ignore,
        WorkerRecovered: ignore,
        WorkerExited: ignore,
    },
}
