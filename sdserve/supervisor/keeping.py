"""What the service manager keeps for the supervisor that comes after this one: sd_notify(3), FDSTORE=1.

- The listening sockets that we have bound ourselves: who comes after us never finds an address in use, and
  whoever connects meanwhile waits in their backlogs.
- A document, `state`, written anew whenever the fleet has changed.
- At a stop, idle connections: workers that drain hand them over by a mailbox, as they would to other workers,
  and after a restart workers serve them on. After a stop the manager closes them.

The manager tells them to us by FDNAME; a connection's facts are in the document, by the number of its inode.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import select
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sdserve.host import mailbox, notify
from sdserve.host.fds import Fd
from sdserve.host.mailbox import Mailbox
from sdserve.host.notify import KEPT
from sdserve.host.record import Record
from sdserve.supervisor import mail, state

if TYPE_CHECKING:
    from sdserve.core.fleet.model import Fleet
    from sdserve.host.listeners import ListenSocket
    from sdserve.supervisor.house import House

_log = logging.getLogger("sdserve")

STATE = f"{KEPT}state"
CONNECTION = f"{KEPT}connection"
LISTENER = f"{KEPT}listen-"
"""And the name of the section, a hyphen and a number."""

_MOST_AT_ONCE = 100
"""Connections that are taken before others in the loop have their turn."""


class Keeper:
    """Has things kept, and knows what is."""

    def __init__(self, record: Record, room: int, poller: select.epoll) -> None:
        """Own `record`; `room` is how many connections may be kept; borrow `poller`."""
        self.record = record
        self._room = room
        self._poller = poller
        self._saved: Fleet | None = None
        self._mailbox: Mailbox | None = None
        self._connections: dict[int, bytes] = {}
        """The facts of those that are kept, by inode."""

    def save(self, house: House) -> None:
        """Write the state down if the fleet has changed."""
        if house.fleet is self._saved:
            return
        self._saved = house.fleet
        self._write(house)

    def _write(self, house: House) -> None:
        facts = {str(inode): base64.b64encode(packet).decode() for inode, packet in self._connections.items()}
        document = json.dumps({**state.describe(house), "connections": facts}).encode()
        try:
            self.record.write(document)
        except (OSError, ValueError) as error:
            _log.warning("the state cannot be kept for the case that sdserve dies: %s", error)

    # Connections, at a stop

    def mailbox(self) -> Mailbox | None:
        """Where connections are sent that are to be kept, borrowed; None if none can be."""
        if self._room <= 0:
            return None
        if self._mailbox is None:
            try:
                self._mailbox = Mailbox.make()
            except OSError:
                return None
            self._poller.register(self._mailbox.outlet, select.EPOLLIN)
        return self._mailbox

    def inlet(self) -> int:
        """The end of it that workers get, borrowed; -1 if there is none."""
        return -1 if (box := self.mailbox()) is None else box.inlet.fileno()

    def take(self, house: House, ready: Mapping[int, int]) -> None:
        """Have those kept that were sent, as fast as the service manager reads; until then they wait."""
        if self._mailbox is not None and self._mailbox.outlet.fileno() in ready:
            for _ in range(_MOST_AT_ONCE):
                if house.manager.is_behind or not self._take_one(house):
                    break
        if self._mailbox is not None:
            self._poller.modify(self._mailbox.outlet, 0 if house.manager.is_behind else select.EPOLLIN)

    def _take_one(self, house: House) -> bool:
        """Whether one was there."""
        if self._mailbox is None:
            return False
        try:
            packet, descriptor = mailbox.receive(self._mailbox.outlet)
        except OSError:
            return False
        if descriptor is not None:
            with descriptor:
                self._room -= 1
                self._connections[os.fstat(descriptor.fileno()).st_ino] = packet
                house.tell_manager(notify.store(CONNECTION), [descriptor.fileno()])
            if self._room <= 0:
                self._hang_up()
        return True

    def _take_all(self, house: House) -> None:
        while self._take_one(house):  # a mailbox has an end
            pass

    def _hang_up(self) -> None:
        """Take no more: those who would send see it, and close theirs in order."""
        if self._mailbox is not None:
            self._poller.unregister(self._mailbox.outlet)
            self._mailbox.close()
            self._mailbox = None

    def finish(self, house: House) -> None:
        """Nobody is left: the last of it."""
        self._take_all(house)
        while house.forwarded:  # what was on its way to workers
            before = sum(one.forwarding.count for one in house.forwarded)
            mail.pass_on(house)
            self._take_all(house)
            if sum(one.forwarding.count for one in house.forwarded) == before:
                break
        self._hang_up()
        if self._connections:
            _log.info("%d idle connections are kept for the case of a restart", len(self._connections))
            self._write(house)

    def close(self) -> None:
        """Let go of it; the service manager keeps what it has."""
        self._hang_up()
        self.record.close()


def listener_name(listener: ListenSocket, taken: Iterable[str]) -> str:
    """A name under which nothing else is kept."""
    used = set(taken)
    number = 1
    while (name := f"{LISTENER}{listener.name}-{number}") in used:
        number += 1
    return name


def section_of(name: str) -> str:
    """The section of a listener that was kept under `name`; empty if that is none."""
    return name.removeprefix(LISTENER).rpartition("-")[0] if name.startswith(LISTENER) else ""


def facts_of(document: Mapping[str, Any], descriptor: Fd) -> bytes | None:
    """The facts of a connection that was kept, by the document of that time; None if it has none."""
    text = document.get("connections", {}).get(str(os.fstat(descriptor.fileno()).st_ino))
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None
