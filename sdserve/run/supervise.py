"""The supervisor, composed: sockets, signals, scoreboard, fleet, loop."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from sdserve.config.model import DEFAULT_LISTENER, Configuration
from sdserve.core.fleet.machine import Fleet
from sdserve.errors import ActivationError, BindError
from sdserve.host import activation, addresses, binding, control_socket, process
from sdserve.host.channel import MAX_DESCRIPTORS
from sdserve.host.control_socket import ControlSocket
from sdserve.host.listeners import ListenSocket
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.signals import Signals
from sdserve.supervisor import banner, loop, observe, status
from sdserve.supervisor.control import Control
from sdserve.supervisor.house import ROWS, House, Prepared

_log = logging.getLogger("sdserve")

ZYGOTE = ("-P", "-m", "sdserve.run.zygote")
MOST_LISTENERS = MAX_DESCRIPTORS - 2
"""They travel to the zygote in one packet, beside the scoreboard and a mailbox."""


def supervise(configuration: Configuration, read_again: Callable[[], Configuration]) -> int:
    """Serve until a signal or a failure ends it; the exit code. Logging is configured already.

    `read_again` gives the configuration as it is then, for a reload; ConfigurationError if it is wrong.
    ReleaseError, ActivationError or BindError if it cannot even begin. Main thread only; this
    process reaps all of its children from now on.
    """
    first = Prepared.of(configuration)  # now, for its own exit code
    listeners = open_listeners(configuration)
    for listener in listeners:
        _log.info("[listen:%s] at %s", listener.name, banner.url(listener))
    process.become_subreaper()
    house = House(
        configuration=configuration,
        read_configuration=read_again,
        prepared={1: first},
        listeners=listeners,
        scoreboard=Scoreboard.create(ROWS),
        signals=Signals(observe.SIGNALS, keep_ignored=observe.KEPT_IGNORED),
        zygote_command=ZYGOTE,
    )
    try:
        if control := open_control(configuration.name):
            house.control = Control(control, house.poller, lambda: status.describe(house))
        return loop.run(house, Fleet(options=configuration.fleet))
    finally:
        # Given back they would end us: one that comes now must not change the exit code.
        signal.pthread_sigmask(signal.SIG_BLOCK, observe.SIGNALS)
        house.close()


def open_listeners(configuration: Configuration) -> list[ListenSocket]:
    """The listening sockets of all sections: those that the service manager passed, else our own.

    ActivationError or BindError; nothing stays open then.
    """
    with ExitStack() as undo:
        listeners = []
        for listener in _passed_or_bound(configuration):
            undo.callback(listener.close)
            listeners.append(listener)
        if len(listeners) > MOST_LISTENERS:
            raise ActivationError(
                f"there are {len(listeners)} listening sockets, and a process can be given {MOST_LISTENERS}; "
                "listen on fewer addresses, or divide them among several instances"
            )
        undo.pop_all()
    return listeners


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


def _passed_or_bound(configuration: Configuration) -> Iterator[ListenSocket]:
    if activation.is_activated():
        yield from activation.adopt([section.name for section in configuration.listen])
        return
    for section in configuration.listen or (DEFAULT_LISTENER,):
        if not section.addresses:
            raise ActivationError(
                f"[listen:{section.name}] has no address, and no descriptor was passed for it: write "
                f"address = HOST:PORT under [listen:{section.name}], or start it through its socket unit"
            )
        for text in section.addresses:
            address = addresses.parse(text)
            yield binding.bind(
                section.name,
                address,
                backlog=section.backlog,
                mode=section.mode,
                owner=section.owner,
                group=section.group,
                defer_accept=section.defer_accept,
            )
