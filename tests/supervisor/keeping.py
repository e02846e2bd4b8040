"""What tests of a service manager that keeps things have in common."""

from __future__ import annotations

import os
import socket
from time import monotonic

from sdserve.core.fleet.model import Fleet
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.wire.moved import Moved, encode_moved
from sdserve.host import mailbox
from sdserve.host.fds import Fd
from sdserve.supervisor import observe, recovery
from sdserve.supervisor.house import Prepared
from sdserve.supervisor.recovery import Kept

PACKET = encode_moved(Moved(requests=3, deadline=5000.0))

FLEET = Fleet(options=FleetOptions(), last_generation=4, last_serial=9)


class Clients:
    """Connections, of which this has the clients' ends."""

    def __init__(self):
        self.ends = []

    def connect(self):
        """The server's end of another one; the caller's."""
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        self.ends.append(ours)
        return Fd(theirs.detach())

    def send(self, inlet, count=1, packet=PACKET):
        """Have so many more wait in a mailbox."""
        for _ in range(count):
            with self.connect() as descriptor:
                mailbox.send(inlet, packet, descriptor.fileno())

    def closed(self):
        """Which of them the server has closed."""
        return [number for number, end in enumerate(self.ends) if self._is_closed(end)]

    @staticmethod
    def _is_closed(end):
        end.setblocking(False)
        try:
            return end.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False

    def close(self):
        for end in self.ends:
            end.close()


def handed_back(store):
    """Copies of all that is kept, as the next process is given them."""
    return [(name, Fd(os.dup(number))) for name, number in store]


def begin(house, kept=()):
    """What a supervisor does at its start, without its listeners; what the one before it has left."""
    found = Kept.sort(list(kept))
    saved = recovery.understand(found)
    house.fleet = recovery.first_fleet(house.fleet.options, saved)
    number = house.fleet.last_generation + 1
    house.prepared = {number: Prepared.of(house.configuration)}
    recovery.recover(house, found, saved)
    return saved


def die(house, *, fleet=FLEET):
    """The state is written for the last time."""
    house.fleet = fleet
    house.keeper.save(house)


def keep(house, clients, count):
    """Have so many connections kept, as at a stop."""
    with Fd(os.dup(house.keeper.inlet())) as inlet, socket.socket(fileno=os.dup(inlet.fileno())) as sender:
        clients.send(sender, count)
    list(observe.wait(house, monotonic()))
    house.keeper.finish(house)
