"""Forking a worker that is the supervisor's child, not ours.

    zygote ── fork ── middle ── fork ── worker
              middle tells the worker's pid and exits; the zygote waits for it;
              the worker's parent is now the next subreaper above, the supervisor (prctl(2));
              the zygote announces the pid, then says "go"; only then the worker acts.

The order matters twice. A worker that asked for its parent's death signal before it was re-parented
would get it for the middle process. And nothing a worker says can overtake the announcement of its
pid. A zygote that dies half-way never says "go", and the worker ends.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from sdserve.errors import EXIT_FAILURE, EXIT_OK, EXIT_OS, EXIT_SOFTWARE
from sdserve.host import process
from sdserve.host.fds import Fd

_log = logging.getLogger("sdserve")

_ANSWER = struct.Struct("=q")  # the worker's pid, or a negative errno
_GO = b"g"


def fork_worker(*, parent: int, announce: Callable[[int], None], work: Callable[[], int]) -> None:
    """Fork a process that becomes a child of `parent`, runs `work` and exits with what it returns.

    `announce` is called with its pid, here, before it runs. OSError if it cannot be forked.
    """
    with _pipe() as (answer_read, answer_write), _pipe() as (go_read, go_write):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            middle = os.fork()
            if middle == 0:
                _be_middle(
                    answer_write,
                    # A write end that the worker kept would hide from the others that one of them died.
                    lambda: _be_worker(go_read, [answer_read, answer_write, go_write], parent, mask, work),
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        answer_write.close()
        answer = os.read(answer_read.fileno(), _ANSWER.size)
        os.waitpid(middle, 0)
        pid = _ANSWER.unpack(answer)[0] if answer else -errno.ESRCH
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        announce(pid)
        os.write(go_write.fileno(), _GO)


def _be_middle(answer: Fd, be_worker: Callable[[], NoReturn]) -> NoReturn:
    try:
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or errno.EAGAIN)
        if pid == 0:
            be_worker()
        os.write(answer.fileno(), _ANSWER.pack(pid))
    finally:
        os._exit(EXIT_OK)


def _be_worker(
    go: Fd, strangers: list[Fd], parent: int, mask: set[int | signal.Signals], work: Callable[[], int]
) -> NoReturn:
    status = EXIT_SOFTWARE
    try:
        for descriptor in strangers:
            descriptor.close()
        if os.read(go.fileno(), 1) != _GO:
            os._exit(EXIT_OS)
        go.close()
        process.set_parent_death_signal(signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(EXIT_OS)  # the supervisor died before its death could be signalled
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = work()
    except SystemExit as stop:
        status = _exit_code(stop)
    except BaseException:
        _log.exception("the worker failed")
    finally:
        _leave(status)


def _exit_code(stop: SystemExit) -> int:
    """What the interpreter would make of it: nothing is success, a text is a message."""
    if isinstance(stop.code, str):
        _log.error("%s", stop.code)
        return EXIT_FAILURE
    return stop.code or EXIT_OK


def _leave(status: int) -> NoReturn:
    """End a worker as the interpreter would, but for tearing modules down and waiting for threads.

    The stack above belongs to the zygote, so it is not unwound. A thread that does not return has
    had its time: it must not keep the process.
    """
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


@contextmanager
def _pipe() -> Iterator[tuple[Fd, Fd]]:
    read, write = map(Fd, os.pipe())
    with read, write:
        yield read, write
