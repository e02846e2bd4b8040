"""The supervisor, composed: sockets, signals, scoreboard, fleet, loop."""

from __future__ import annotations

import logging

from sdserve.config.model import DEFAULT_LISTENER, Configuration
from sdserve.core.fleet.machine import Fleet
from sdserve.errors import BindError
from sdserve.host import activation, addresses, binding, process, release
from sdserve.host.listeners import ListenSocket
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.signals import Signals
from sdserve.supervisor import banner, loop, observe
from sdserve.supervisor.house import ROWS, House

_log = logging.getLogger("sdserve")

ZYGOTE = ("-P", "-m", "sdserve.run.zygote")


def supervise(configuration: Configuration) -> int:
    """Serve until a signal or a failure ends it; the exit code. Logging is configured already.

    ReleaseError, ActivationError or BindError if it cannot even begin. Main thread only; this
    process reaps all of its children from now on.
    """
    release.resolve(configuration.app.directory, configuration.app.venv)  # now, for its own exit code
    listeners = open_listeners(configuration)
    for listener in listeners:
        _log.info("[listen:%s] at %s", listener.name, banner.url(listener))
    process.become_subreaper()
    house = House(
        configuration=configuration,
        listeners=listeners,
        scoreboard=Scoreboard.create(ROWS),
        signals=Signals(observe.SIGNALS),
        zygote_command=ZYGOTE,
    )
    try:
        return loop.run(house, Fleet(options=configuration.fleet))
    finally:
        house.close()


def open_listeners(configuration: Configuration) -> list[ListenSocket]:
    """The listening sockets of all sections: those that the service manager passed, else our own.

    ActivationError or BindError; nothing stays open then.
    """
    if activation.is_activated():
        return activation.adopt([section.name for section in configuration.listen])
    listeners: list[ListenSocket] = []
    try:
        for section in configuration.listen or (DEFAULT_LISTENER,):
            if not section.addresses:
                raise BindError(
                    f"[listen:{section.name}] has no address, and no descriptor was passed for it"
                )
            for text in section.addresses:
                address = addresses.parse(text)
                listeners.append(
                    binding.bind(section.name, address, backlog=section.backlog, mode=section.mode)
                )
    except BindError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
