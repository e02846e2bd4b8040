"""The listening sockets of an instance: of socket units, kept by the service manager, or bound by us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

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
        if passed:
            listeners = activation.adopt(passed, [one.name for one in configuration.listen])
            for listener in listeners:
                undo.callback(listener.close)
        else:
            listeners = _own(configuration, kept, manager, undo)
        if len(listeners) > MOST:
            raise ActivationError(
                f"there are {len(listeners)} listening sockets, and a process can be given {MOST}; "
                "listen on fewer addresses, or divide them among several instances"
            )
        undo.pop_all()
    return listeners


def _own(
    configuration: Configuration, kept: Kept, manager: ServiceManager, undo: ExitStack
) -> list[ListenSocket]:
    listeners = []
    wanted = list(_wanted(configuration))
    found = {place: kept.listener(section.name, address) for place, (section, address) in enumerate(wanted)}
    for listener in found.values():
        if listener is not None:
            undo.callback(listener.close)
    if names := kept.give_up_listeners():
        with suppress(OSError):  # a manager that is gone keeps nothing
            for name in names:
                manager.tell(notify.unstore(name))
        manager.settle(_SETTLE)
    for place, (section, address) in enumerate(wanted):
        listener = found[place]
        if listener is None:
            listener = binding.bind(section.name, address, **_options(section))
            undo.callback(listener.close)
        else:
            binding.adapt(listener, address, **_options(section))
        listeners.append(listener)
    return listeners


def _options(section: Listener) -> dict[str, Any]:
    return {
        "backlog": section.backlog,
        "mode": section.mode,
        "owner": section.owner,
        "group": section.group,
        "defer_accept": section.defer_accept,
    }


def _wanted(configuration: Configuration) -> Iterator[tuple[Listener, Address]]:
    for section in configuration.listen or (DEFAULT_LISTENER,):
        if not section.addresses:
            raise ActivationError(
                f"[listen:{section.name}] has no address, and no descriptor was passed for it: write "
                f"address = HOST:PORT under [listen:{section.name}], or start it through its socket unit"
            )
        for text in section.addresses:
            yield section, addresses.parse(text)
