"""Why somebody is gone, in words: for the log whole, for the status one line of it."""

from __future__ import annotations

from sdserve.core.fleet.effects import Level
from sdserve.core.fleet.model import Generation, Worker, WorkerState, ZygoteState

# Those of signal(7) that end a process, with the numbers of x86 and ARM and all that follow them. Not
# from the module `signal`, which speaks of the machine it runs on and has no place in a pure room.
SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    16: "SIGSTKFLT",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    26: "SIGVTALRM",
    27: "SIGPROF",
    29: "SIGIO",
    30: "SIGPWR",
    31: "SIGSYS",
}
KILLED = -9

_LONGEST = 200
"""Characters of a cause in the status, which also has other things to say."""


def ending(status: int) -> str:
    """What a process ended with; `status` as of `os.waitstatus_to_exitcode()`."""
    return f"exit code {status}" if status >= 0 else SIGNALS.get(-status, f"signal {-status}")


def worker_end(worker: Worker, status: int, *, oom: bool = False) -> tuple[Level, str]:
    """How bad it is, and what befell the worker that ended with `status`; `oom` as of `WorkerExited`."""
    match worker.state:
        case WorkerState.READY | WorkerState.STALLED:
            return "error", _unexpected("crashed" if status else "exited unasked", status, oom=oom)
        case WorkerState.FAILED:
            return "error", f"failed: {worker.reason}"
        case WorkerState.KILLED:
            return "warning", _killed(worker.reason, status)
        case WorkerState.DRAINING if status == 0:
            return "info", "has drained"
        case WorkerState.DRAINING:
            return "warning", _unexpected("did not finish draining", status, oom=oom)
        case _:
            return "error", _unexpected("died while it booted", status, oom=oom)


def zygote_end(generation: Generation, status: int) -> str:
    """What befell the generation's zygote that ended with `status`."""
    match generation.zygote:
        case ZygoteState.FAILED:
            return f"failed: {generation.trouble}"
        case ZygoteState.KILLED:
            return _killed(generation.trouble, status)
        case _:
            return _unexpected("died", status)


def seconds(duration: float) -> str:
    """A duration for people: `30 s`, `1.5 s`."""
    return f"{round(duration, 1):g} s"


def how_many(number: int, noun: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_brief(text: str) -> str:
    """The first line of `text`, cut to a length that leaves room for more.

    A reason is somebody else's text, and a line feed in a status would begin another assignment
    to the service manager: sd_notify(3).
    """
    line = next(iter(text.splitlines()), "")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _unexpected(what: str, status: int, *, oom: bool = False) -> str:
    if status != KILLED:
        return f"{what} ({ending(status)})"
    # Nothing here has killed it, so that somebody should know where to look.
    hint = "by the kernel, for memory ran out" if oom else "from outside, as when memory runs out"
    return f"{what} ({ending(status)} {hint})"


def _killed(reason: str, status: int) -> str:
    if status == KILLED:
        return f"killed: {reason}"
    return f"ended by itself ({ending(status)}) as it was being killed: {reason}"
