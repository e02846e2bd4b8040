"""Starting with what the service manager has kept, see `keeping`: after a stop, or a supervisor that died."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

from sdserve.core import catalog
from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import FleetOptions
from sdserve.errors import ActivationError, WireError
from sdserve.host import activation, logs, mailbox, notify, usage
from sdserve.host.activation import Named
from sdserve.host.addresses import Address
from sdserve.host.fds import Fd
from sdserve.host.listeners import ListenSocket
from sdserve.host.mailbox import Mailbox
from sdserve.host.record import Record
from sdserve.supervisor import keeping, mail, state
from sdserve.supervisor.house import Forwarded, House
from sdserve.supervisor.keeping import CONNECTION, STATE, Keeper
from sdserve.supervisor.state import Saved

_log = logging.getLogger("sdserve")

_MARGIN = 5.0
"""Seconds that workers who drain by themselves have beyond their time."""
_SPARE = 8
"""Places in the service manager's store that are not for connections, beside the listeners."""


@dataclass(slots=True)
class Kept:
    """What was kept, sorted; whatever is left in it is closed by `close`."""

    record: Record | None = None
    listeners: Named = field(default_factory=list)
    connections: list[Fd] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Of all there is, known or not."""
    document: dict[str, Any] = field(default_factory=dict)
    """What was written down last; empty if there is nothing that can be read."""

    @classmethod
    def sort(cls, kept: Named) -> Kept:
        """Take over the descriptors that were kept."""
        found = cls(names={name for name, _ in kept})
        for name, descriptor in kept:
            if name == STATE and found.record is None:
                found.record = _record(descriptor)
            elif name == CONNECTION:
                found.connections.append(descriptor)
            elif keeping.section_of(name):
                found.listeners.append((name, descriptor))
            else:
                descriptor.close()
        found.document = found._read()
        return found

    def _read(self) -> dict[str, Any]:
        try:
            said = json.loads(self.record.read()) if self.record else {}
        except (ValueError, RecursionError):
            said = {}
        return said if isinstance(said, dict) else {}

    def _created(self, name: str) -> tuple[int, int] | None:
        """The file that was made for the listener that was kept as `name`."""
        for listener in self.document.get("listeners", ()):
            if listener.get("kept") == name and listener.get("created"):
                device, inode = listener["created"]
                return device, inode
        return None

    def listener(self, section: str, address: Address) -> ListenSocket | None:
        """The socket of `section` that listens at `address`; it is the caller's then."""
        for name, descriptor in self.listeners:
            created = self._created(name)
            if keeping.section_of(name) == section and activation.is_at(descriptor, address, created):
                self.listeners.remove((name, descriptor))
                return activation.readopt(section, name, descriptor, created)
        return None

    def give_up_listeners(self) -> list[str]:
        """Close the listeners that nobody has taken, for good; their names."""
        names = []
        for name, descriptor in self.listeners:
            names.append(name)
            with suppress(ActivationError), descriptor:
                activation.readopt("", "", descriptor, self._created(name)).close()  # and its file
        self.listeners.clear()
        return names

    def close(self) -> None:
        """Close what nobody has taken."""
        for _, descriptor in self.listeners:
            descriptor.close()
        for descriptor in self.connections:
            descriptor.close()
        if self.record is not None:
            self.record.close()


def _record(taken: Fd) -> Record | None:
    try:
        return Record(taken)
    except OSError:  # whatever it is, it is not ours
        taken.close()
        return None


def first_fleet(options: FleetOptions, saved: Saved | None) -> Fleet:
    """The fleet to begin with, which goes on counting where that of `saved` has ended."""
    if saved is None:
        return Fleet(options=options)
    before = saved.fleet
    return Fleet(
        options=options,
        last_generation=before.last_generation,
        last_serial=before.last_serial,
        last_reload=before.last_reload,
    )


def understand(kept: Kept) -> Saved | None:
    """What the supervisor before this one has left; None if there was none, or it cannot be understood.

    Then nothing in it counts.
    """
    if not kept.document:
        return None
    try:
        return state.read(json.dumps(kept.document).encode())
    except WireError as error:
        _log.warning("%s; starting without it", error)
        kept.document = {}
        return None


def recover(house: House, kept: Kept, saved: Saved | None) -> None:
    """Take up what was kept, and have kept from now on what is there."""
    number = house.fleet.last_generation + 1
    if saved is not None:
        _find_leftovers(house, saved)
    _return_connections(house, kept, number)
    size = notify.store_size()
    used = {listener.kept for listener in house.listeners if listener.kept}
    for name in sorted(kept.names - used - {STATE}):
        house.tell_manager(notify.unstore(name))
    if size:
        record, kept.record = kept.record, None
        _begin_to_keep(house, record, size)
    kept.close()


def keep_on(house: House, saved: Saved) -> None:
    """Go on with what the program before this one has had kept."""
    number = saved.said.get("record")
    record = None if number is None else Record(Fd(number))
    if size := notify.store_size():
        _begin_to_keep(house, record, size)
    elif record is not None:
        record.close()


def _begin_to_keep(house: House, record: Record | None, size: int) -> None:
    if record is None:
        record = Record.create(STATE)
        house.tell_manager(notify.store(STATE), [record.memory.fileno()])
    room = size - len(house.listeners) - _SPARE
    house.keeper = Keeper(record, room, house.poller)
    for listener in house.listeners:
        if not listener.is_passed and not listener.kept:
            name = keeping.listener_name(listener, (other.kept for other in house.listeners))
            if len(name) <= notify.LONGEST_NAME:
                listener.kept = name
                house.tell_manager(notify.store(name), [listener.socket.fileno()])


def _find_leftovers(house: House, saved: Saved) -> None:
    now = monotonic()
    for pid, started, deadline in saved.said.get("leftovers", ()):
        house.leftovers.add(pid, started, deadline)
    longest = 0.0
    for worker in saved.said.get("workers", ()):
        prepared = saved.prepared.get(worker["generation"], None)
        limit = prepared.configuration.fleet.drain_limit if prepared else 0.0
        longest = max(longest, limit)
        if worker["pid"] is not None:
            house.leftovers.add(worker["pid"], worker["started"], now + limit + _MARGIN)
    # Nobody of ours is in our control group yet: the others are children of applications, and the like.
    for pid in usage.service_members() - {os.getpid(), *house.leftovers.pids}:
        house.leftovers.add(pid, usage.started(pid), now + longest + _MARGIN)
    if pids := house.leftovers.pids:
        _log.warning(
            "the supervisor before this one died; what it has left drains: %s",
            ", ".join(map(str, pids)),
            extra={logs.MESSAGE_ID: catalog.SUPERVISOR_LOST},
        )


def _return_connections(house: House, kept: Kept, generation: int) -> None:
    connections, kept.connections = kept.connections, []
    returned = Returned()
    for descriptor in connections:
        packet = keeping.facts_of(kept.document, descriptor)
        if packet is None:
            descriptor.close()  # its client sees it, and comes again
        else:
            returned.add(packet, descriptor)
    if returned.is_empty:
        return
    _log.info("%d connections were kept over the restart", len(returned))
    house.mailbox_of(generation)
    house.forwarded.append(Forwarded(generation=0, heir=generation, until=inf, forwarding=returned))
    mail.pass_on(house)


class Returned:
    """Connections that were kept, on their way into a mailbox; as `host.mailbox.Forwarding`."""

    def __init__(self) -> None:
        self._left: list[tuple[bytes, Fd]] = []
        self.count = 0

    def __len__(self) -> int:
        return len(self._left)

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self._left

    def add(self, packet: bytes, taken: Fd) -> None:
        """One more, with its facts."""
        self._left.append((packet, taken))

    def go_on(self, other: Mailbox) -> bool:
        """Pass on what has room in `other`; whether nothing is left."""
        while self._left:
            packet, descriptor = self._left[-1]
            try:
                mailbox.send(other.inlet, packet, descriptor.fileno())
            except OSError:
                return False
            self._left.pop()
            descriptor.close()
            self.count += 1
        return True

    def close(self) -> None:
        """Close those that are left."""
        for _, descriptor in self._left:
            descriptor.close()
        self._left.clear()
