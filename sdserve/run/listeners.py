"""The listening sockets of an instance: of socket units, kept by the service manager, or bound by us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from sdserve.config.model import DEFAULT_LISTENER, Configuration, Listener
from sdserve.errors import ActivationError
from sdserve.host import activation, addresses, binding, notify
from sdserve.host.activation import Named
from sdserve.host.addresses import Address
from sdserve.host.channel import MAX_DESCRIPTORS
from sdserve.host.listeners import ListenSocket
from sdserve.host.notify import ServiceManager
from sdserve.supervisor.recovery import Kept

MOST = MAX_DESCRIPTORS - 2
"""They travel to the zygote in one packet, beside the scoreboard and a mailbox."""
_SETTLE = 2.0
"""Seconds that the service manager has to close a socket, whose address may be wanted."""


def open_listeners(
    configuration: Configuration, passed: Named, kept: Kept, manager: ServiceManager
) -> list[ListenSocket]:
    """The listening sockets of all sections: those that socket units have `passed`, else our own.

    Our own are taken from `kept` where they are there; what is there and not wanted `manager` is asked to
    close. ActivationError or BindError; nothing stays open then.
    """
    with ExitStack() as undo:
        listeners = []
        found = activation.adopt(passed, [one.name for one in configuration.listen]) if passed else None
        for listener in _own(configuration, kept, manager) if found is None else found:
            undo.callback(listener.close)
            listeners.append(listener)
        if len(listeners) > MOST:
            raise ActivationError(
                f"there are {len(listeners)} listening sockets, and a process can be given {MOST}; "
                "listen on fewer addresses, or divide them among several instances"
            )
        undo.pop_all()
    return listeners


def _own(configuration: Configuration, kept: Kept, manager: ServiceManager) -> Iterator[ListenSocket]:
    wanted = list(_wanted(configuration))
    found = {place: kept.listener(section.name, address) for place, (section, address) in enumerate(wanted)}
    if kept.listeners:
        for name, _ in kept.listeners:
            manager.tell(notify.unstore(name))
        kept.close_listeners()
        manager.settle(_SETTLE)
    for place, (section, address) in enumerate(wanted):
        yield found[place] or binding.bind(
            section.name,
            address,
            backlog=section.backlog,
            mode=section.mode,
            owner=section.owner,
            group=section.group,
            defer_accept=section.defer_accept,
        )


def _wanted(configuration: Configuration) -> Iterator[tuple[Listener, Address]]:
    for section in configuration.listen or (DEFAULT_LISTENER,):
        if not section.addresses:
            raise ActivationError(
                f"[listen:{section.name}] has no address, and no descriptor was passed for it: write "
                f"address = HOST:PORT under [listen:{section.name}], or start it through its socket unit"
            )
        for text in section.addresses:
            yield section, addresses.parse(text)
