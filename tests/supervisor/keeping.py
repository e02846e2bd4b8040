"""What tests of a service manager that keeps things have in common."""

from __future__ import annotations

import os
import socket

from sdserve.core.wire.moved import Moved, encode_moved
from sdserve.host import mailbox
from sdserve.host.fds import Fd

PACKET = encode_moved(Moved(requests=3, deadline=5000.0))


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
