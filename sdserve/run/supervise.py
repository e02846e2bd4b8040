"""The supervisor, composed: sockets, signals, scoreboard, fleet, loop."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sdserve import __version__
from sdserve.config.model import Configuration
from sdserve.core import wire
from sdserve.core.fleet import events
from sdserve.errors import BindError, WireError
from sdserve.host import activation, control_socket, logs, memfd, process, program
from sdserve.host.control_socket import ControlSocket
from sdserve.host.fds import Fd
from sdserve.host.notify import ServiceManager
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.signals import Signals
from sdserve.run.listeners import open_listeners
from sdserve.supervisor import banner, certificates, loop, observe, preparing, recovery, state, status
from sdserve.supervisor.control import Control
from sdserve.supervisor.house import ROWS, House, Prepared, Program
from sdserve.supervisor.idle import Idle
from sdserve.supervisor.recovery import Kept
from sdserve.supervisor.reexec import handed_over
from sdserve.supervisor.state import Saved
from sdserve.supervisor.watchdog import Watchdog

__all__ = ["handed_over", "resume", "supervise"]

_log = logging.getLogger("sdserve")

_LAST_WORDS = 2.0
"""Seconds that the service manager has to take what it was told."""
ZYGOTE = ("-P", "-m", "sdserve.run.zygote")


def supervise(configuration: Configuration, arguments: Sequence[str]) -> int:
    """Serve until a signal or a failure ends it; the exit code. Logging is configured already.

    `arguments` are those of the command line, with which sdserve is started again, to read the configuration
    as it is then. ReleaseError, ActivationError or BindError if it cannot even begin. Main thread only; this
    process reaps all of its children from now on.
    """
    running = running_program(arguments)
    first = Prepared.of(configuration)  # now, for its own exit code
    manager = ServiceManager()
    passed, named = activation.take()
    kept = Kept.sort(named)
    saved = recovery.understand(kept)
    with ExitStack() as undo:
        undo.callback(kept.close)
        listeners = open_listeners(configuration, passed, kept, manager)
        undo.pop_all()
    certificates.warn(first.materials)
    for listener in listeners:
        _log.info("[listen:%s] at %s", listener.name, banner.url(listener, configuration))
    fleet = recovery.first_fleet(configuration.fleet, saved)
    process.become_subreaper()
    house = House(
        configuration=configuration,
        program=running,
        fleet=fleet,
        prepared={fleet.last_generation + 1: first},
        manager=manager,
        listeners=listeners,
        scoreboard=Scoreboard.create(ROWS),
        signals=Signals(observe.SIGNALS, keep_ignored=observe.KEPT_IGNORED),
        zygote_command=ZYGOTE,
    )
    try:
        if control := open_control(configuration.name):
            house.control = _control(house, control)
        recovery.recover(house, kept, saved)
        house.lookouts += [Idle(), Watchdog()]
        if configuration.fleet.idle_exit and not all(listener.is_passed for listener in listeners):
            _log.warning("workers.idle_exit is ignored: without a socket unit nobody would start it again")
        return loop.run(house, events.Started())
    finally:
        _leave(house)


def resume(document: Fd, arguments: Sequence[str]) -> int:
    """Go on with what the program before this one has handed over; the exit code. All signals are blocked.

    WireError if that cannot be understood; everything is as when a supervisor dies, then.
    """
    with document:
        saved = state.read(memfd.read(document.fileno()))
    logs.configure(_level(saved), waits=False)
    try:
        house = state.rebuild(
            saved,
            program=running_program(arguments),
            signals=Signals(observe.SIGNALS, keep_ignored=observe.KEPT_IGNORED),
            zygote_command=ZYGOTE,
        )
        certificates.take_over(house, saved.said.get("certificates", {}))
        if said := saved.said["control"]:
            control = ControlSocket.resumed(
                Path(said["path"]), Fd(said["descriptor"]), Fd(said["lock"]), map(Path, said["made"])
            )
            house.control = _control(house, control)
            house.control.resume(said["clients"], __version__)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise WireError(f"the state of the supervisor cannot be taken over: {error!r}") from None
    if saved.protocol != wire.PROTOCOL:
        for zygote in house.zygotes.values():  # their successors speak our language
            house.hang_up(zygote.channel)
    house.lookouts += [Idle(), Watchdog()]
    recovery.keep_on(house, saved)
    _log.info("%s goes on in place of sdserve %s", house.program.description, saved.version)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.raise_signal(signal.SIGCHLD)  # whoever died in between may have died unheard
    try:
        return loop.run(house, events.Resumed())
    finally:
        _leave(house)


def running_program(arguments: Sequence[str]) -> Program:
    """This program, started with `arguments`."""
    return Program(
        command=program.command(),
        arguments=tuple(arguments),
        identity=program.identity(),
        description=program.description(),
    )


def _level(saved: Saved) -> str:
    current = saved.prepared.get(saved.fleet.current)
    return (current.configuration if current else saved.configuration).log.level


def _control(house: House, listener: ControlSocket) -> Control:
    return Control(
        listener,
        house.poller,
        status=lambda: status.describe(house),
        check=lambda token: preparing.check(house, token),
        renew=lambda token: preparing.renew(house, token),
    )


def _leave(house: House) -> None:
    # Given back they would end us: one that comes now must not change the exit code.
    signal.pthread_sigmask(signal.SIG_BLOCK, observe.SIGNALS)
    if house.keeper is not None:
        house.manager.settle(_LAST_WORDS)  # it takes no descriptor of a process that is gone
    house.close()
    process.end_children()


def open_control(name: str) -> ControlSocket | None:
    """The control socket of the instance `name`; None, and a warning, if there can be none."""
    directory = control_socket.own_directory(name)
    try:
        if directory is None:
            raise BindError("there is no directory for it, set XDG_RUNTIME_DIR")
        return ControlSocket(directory)
    except BindError as error:
        _log.warning("no control socket, so no sdserve reload, scale and status here: %s", error)
        return None
