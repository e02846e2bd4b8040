"""The zygote's whole life: one Open, then a worker for each ForkWorker, until the supervisor lets go."""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import traceback
from types import FrameType

from sdserve import __version__
from sdserve.core import wire
from sdserve.errors import EXIT_BOOT, EXIT_OK, SdserveError
from sdserve.host import limits, process
from sdserve.host.channel import Channel, Received
from sdserve.host.fds import Fd
from sdserve.host.worker_context import WorkerContext
from sdserve.zygote import forking
from sdserve.zygote.opening import Code, Generation, prepare

_log = logging.getLogger("sdserve")


def serve(channel: Channel, code: Code) -> int:
    """Serve the supervisor at the other end of `channel`; the exit code.

    WireError if the supervisor says what cannot be understood.
    """
    # A terminal sends these to the whole process group; the supervisor decides what they mean. A
    # handler, because an ignored signal would stay ignored in whatever an application executes.
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, _do_nothing)
    # It would notice the end of its channel, too, but not while it imports an application.
    process.set_parent_death_signal(signal.SIGTERM)
    if os.getppid() != channel.peer_pid():
        return EXIT_OK  # it came too late
    received = channel.receive()
    if received is None:
        return EXIT_OK
    number = received.message.generation
    try:
        generation = prepare(received, code)
    except Exception as error:  # an application's import raises what it likes
        channel.send(_open_failed(number, error))
        return EXIT_BOOT
    channel.send(
        wire.Opened(
            protocol=wire.PROTOCOL,
            version=__version__,
            generation=number,
            python=platform.python_version(),
        )
    )
    while (received := channel.receive()) is not None:
        _obey(channel, generation, received)
    return EXIT_OK


def _open_failed(number: int, error: Exception) -> wire.OpenFailed:
    known = isinstance(error, SdserveError)
    cause = error.__cause__ if known else error
    return wire.OpenFailed(
        protocol=wire.PROTOCOL,
        version=__version__,
        generation=number,
        reason=str(error) if known else f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(cause)) if cause else "",
    )


def _obey(channel: Channel, generation: Generation, received: Received) -> None:
    order = received.message
    if not isinstance(order, wire.ForkWorker) or len(received.descriptors) not in (1, 2):
        _log.error(
            "the supervisor sent %s with %d descriptors, ignoring",
            type(order).__name__,
            len(received.descriptors),
        )
        return
    end = socket.socket(fileno=received.descriptors[0].steal())
    certificates = received.descriptors[1] if len(received.descriptors) > 1 else None

    def announce(pid: int) -> None:
        channel.send(wire.Forked(generation=order.generation, serial=order.serial, pid=pid))

    def work() -> int:
        channel.close()  # it is the zygote's; a copy kept here would hide its end
        return _work(generation, order, end, certificates)

    try:
        forking.fork_worker(parent=channel.peer_pid(), announce=announce, work=work)
    except OSError as error:
        channel.send(
            wire.ForkRefused(
                generation=order.generation, serial=order.serial, reason=f"fork: {limits.reason(error)}"
            )
        )
    finally:
        end.close()
        if certificates is not None:
            certificates.close()


def _work(generation: Generation, order: wire.ForkWorker, end: socket.socket, certificates: Fd | None) -> int:
    context = WorkerContext(
        generation=order.generation,
        since_ns=generation.since_ns,
        serial=order.serial,
        slot=order.slot,
        channel=end,
        listeners=generation.listeners,
        row=generation.scoreboard.row(order.row),
        mailbox=generation.mailbox,
        application=generation.application,
        certificates=certificates,
    )
    return generation.worker_main(context, generation.configuration)


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    pass
