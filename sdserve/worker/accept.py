"""Accepting connections from a listener that all workers share.

The kernel's listener is never closed or shut down here: what stands in its backlog belongs to every worker.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
from collections.abc import Callable

from sdserve.config.model import Listener

log = logging.getLogger("sdserve.accept")

_PAUSE = 0.1
"""Seconds without accepting after the system had no descriptor or memory for one more connection."""
_SAY_EVERY = 60.0
_TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}


class Acceptor:
    """Hands each new connection of one listener to `adopt`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: Listener,
        listener: socket.socket,
        adopt: Callable[[socket.socket, Listener], None],
        reclaim: Callable[[], None],
    ) -> None:
        """Borrow `listener`, which is non-blocking.

        `adopt` takes over the connected sockets, each with the `options` of the section that it came by;
        `reclaim` gives back descriptors, if it can, when there are no more.
        """
        self._loop = loop
        self._options = options
        self._listener = listener
        self._adopt = adopt
        self._reclaim = reclaim
        self._tcp = listener.family in (socket.AF_INET, socket.AF_INET6)
        self._paused: asyncio.TimerHandle | None = None
        self._said = float("-inf")

    def start(self) -> None:
        """Begin to accept, or go on."""
        self._end_pause()
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Accept no more, until `start`."""
        self._end_pause()
        self._loop.remove_reader(self._listener.fileno())

    def _end_pause(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None

    def is_awaited(self) -> bool:
        """Whether a connection waits to be accepted, by this process or another."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        return bool(poll.poll(0))

    def _accept(self) -> None:
        # One a turn: whoever else is woken gets the next one, so connections spread over the workers.
        try:
            connected, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # EMFILE and its like, and whatever else would come again at once.
            self._pause(error)
            return
        connected.setblocking(False)
        if self._tcp:
            # An inherited listener does not bring it: 44 ms a request otherwise (Nagle with delayed ACK).
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._adopt(connected, self._options)

    def _pause(self, error: OSError) -> None:
        """Wait a little instead of spinning, and say so once a minute."""
        self._loop.remove_reader(self._listener.fileno())
        self._paused = self._loop.call_later(_PAUSE, self.start)
        too_many = error.errno in _TOO_MANY_OPEN
        if too_many:
            self._reclaim()
        now = self._loop.time()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            hint = "; raise LimitNOFILE=, idle ones are closed" if too_many else ""
            log.error("cannot accept connections for now: %s%s", error.strerror, hint)
