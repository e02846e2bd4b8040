"""The supervisor, composed: sockets, signals, scoreboard, fleet, loop."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack

from sdserve.config.model import DEFAULT_LISTENER, Configuration
from sdserve.core.fleet.machine import Fleet
from sdserve.errors import ActivationError
from sdserve.host import activation, addresses, binding, process, release
from sdserve.host.channel import MAX_DESCRIPTORS
from sdserve.host.listeners import ListenSocket
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.signals import Signals
from sdserve.supervisor import banner, loop, observe
from sdserve.supervisor.house import ROWS, House

_log = logging.getLogger("sdserve")

ZYGOTE = ("-P", "-m", "sdserve.run.zygote")
MOST_LISTENERS = MAX_DESCRIPTORS - 1
"""They travel to the zygote in one packet, beside the scoreboard."""


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
        signals=Signals(observe.SIGNALS, keep_ignored=observe.KEPT_IGNORED),
        zygote_command=ZYGOTE,
    )
    try:
        return loop.run(house, Fleet(options=configuration.fleet))
    finally:
        # Given back they would end us: one that comes now must not change the exit code.
        signal.pthread_sigmask(signal.SIG_BLOCK, observe.STOP_SIGNALS)
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
            yield binding.bind(section.name, address, backlog=section.backlog, mode=section.mode)
