"""Connections between workers: the outbox of one that drains, the inbox of all.

A connection moves as it is: its descriptor travels through a mailbox (`host.mailbox`), and the client notices
nothing. Laws: nothing is read from a connection after it was sent; it is never shut down by the one that sent
it; there is one owner at any time, a worker or the mailbox.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from sdserve.core.wire.messages import KEEPER
from sdserve.core.wire.moved import MAX_PENDING, Moved, decode_moved, encode_moved
from sdserve.errors import WireError
from sdserve.host import mailbox

if TYPE_CHECKING:
    from sdserve.worker.http import HttpProtocol

log = logging.getLogger("sdserve.handover")

_PAUSE = 0.1
"""Seconds without reading mail after the system had no descriptor for one more connection."""
_RETRY = 0.01
"""Seconds between room in a mailbox that was full and the next attempt."""
_LAST_CHANCE = 0.1
"""Seconds between the end of a mailbox and giving up to hand anything over."""


class Outbox:
    """Sends connections to the workers of the generation `heir`. Owns its end of their mailbox."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        taken: socket.socket,
        heir: int,
        *,
        room: Callable[[], None],
        gone: Callable[[], None],
    ) -> None:
        """`room` is called when it is worth trying again, `gone` once nobody will ever read the mailbox."""
        self.heir = heir
        self.is_full = False
        """Connections have to stay for now; `room` follows."""
        self._loop = loop
        self._inlet = taken
        self._inlet.setblocking(False)
        self._room = room
        self._gone = gone
        self._retry: asyncio.TimerHandle | None = None

    @property
    def keeps(self) -> bool:
        """Whether connections are kept for the case of a restart, and so only those that ask nothing.

        After a stop they are closed, and what they ask would have no answer.
        """
        return self.heir == KEEPER

    def send(self, borrowed: int, moved: Moved) -> bool:
        """Send a connection's descriptor; False if it has to stay for now."""
        if self.is_full or len(moved.pending) > MAX_PENDING or (self.keeps and _asks(borrowed, moved)):
            return False
        try:
            mailbox.send(self._inlet, encode_moved(moved), borrowed)
        except ConnectionError:
            self.is_full = True
            # Not at once: the order that names another heir may be waiting to be read, and closes this one.
            self._retry = self._loop.call_later(_LAST_CHANCE, self._gone)
            return False
        except OSError:
            # No room, or too many descriptors on their way. Who drains has a deadline for trying again.
            self.is_full = True
            self._loop.add_writer(self._inlet.fileno(), self._writable)
            return False
        return True

    def take(self, borrowed: int, protocol: HttpProtocol) -> bool:
        """Send a connection that is `movable`, and abandon it here; False if it has to stay for now."""
        connection = protocol.connection
        moved = Moved(
            listener=protocol.listener.name,
            header=protocol.peer.header,
            requests=connection.requests,
            deadline=connection.deadline,
            pending=connection.unused,
        )
        taken = self.send(borrowed, moved)
        if taken:
            connection.abandon()
        return taken

    def _writable(self) -> None:
        self._loop.remove_writer(self._inlet.fileno())
        # A moment later, as with too many descriptors on their way it is writable all the time.
        self._retry = self._loop.call_later(_RETRY, self._try_again)

    def _try_again(self) -> None:
        self.is_full = False
        self._room()

    def close(self) -> None:
        """Send no more."""
        if self._retry is not None:
            self._retry.cancel()
        self.is_full = True
        self._loop.remove_writer(self._inlet.fileno())
        self._inlet.close()


def _asks(borrowed: int, moved: Moved) -> bool:
    """Whether a connection waits for an answer, as far as can be known; a new one is about to."""
    if moved.pending or not moved.requests:
        return True
    poll = select.poll()
    poll.register(borrowed, select.POLLIN)
    return bool(poll.poll(0))


class Inbox:
    """Hands each connection that comes from another worker to `adopt`. Borrows its end of the mailbox."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        outlet: socket.socket,
        adopt: Callable[[socket.socket, Moved], None],
        reclaim: Callable[[], None],
    ) -> None:
        """`adopt` takes the sockets over; `reclaim` gives descriptors back, if it can, when none is left."""
        self._loop = loop
        self._outlet = outlet
        self._adopt = adopt
        self._reclaim = reclaim
        self._paused: asyncio.TimerHandle | None = None
        self.is_open = False
        """Whether it is read, if there are descriptors."""

    def start(self) -> None:
        """Begin to read, or go on."""
        self.is_open = True
        self._end_pause()
        self._loop.add_reader(self._outlet.fileno(), self.take)

    def stop(self) -> None:
        """Leave what comes to the others, until `start`."""
        self.is_open = False
        self._end_pause()
        self._loop.remove_reader(self._outlet.fileno())

    def is_awaited(self) -> bool:
        """Whether a connection waits to be taken, by this process or another."""
        poll = select.poll()
        poll.register(self._outlet, select.POLLIN)
        return bool(poll.poll(0))

    def take(self) -> bool:
        """Adopt one connection if one waits; whether it did. One a turn: the others have theirs."""
        try:
            # Without a free descriptor the kernel would drop the one that comes: recvmsg(2), MSG_CTRUNC.
            os.close(os.dup(self._outlet.fileno()))
        except OSError:
            self._pause()
            return False
        try:
            packet, descriptor = mailbox.receive(self._outlet)
        except (BlockingIOError, InterruptedError):
            return False  # somebody else was faster
        if not packet:
            self.stop()  # all who could send are gone
            return False
        if descriptor is None:
            log.error("a connection was lost on its way from another worker")
            return False
        connected = socket.socket(fileno=descriptor.steal())
        try:
            moved = decode_moved(packet)
        except WireError as error:
            log.error("%s, closing it", error)
            connected.close()
            return False
        connected.setblocking(False)
        self._adopt(connected, moved)
        return True

    def _pause(self) -> None:
        self._loop.remove_reader(self._outlet.fileno())
        self._end_pause()
        self._paused = self._loop.call_later(_PAUSE, self.start)
        self._reclaim()

    def _end_pause(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
