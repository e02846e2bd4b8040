"""A part of a response's body on its way from a file to the socket.

Zero copy by sendfile(2) where the body goes out as it is; reading where it is sent in chunks, or where the
file's system knows no sendfile. Each turn of the loop sends a bounded part, so other connections have theirs.
The loops differ in what they offer (uvloop has no `sendfile`), so this is made of what both have.

Laws: nothing is sent while the transport holds bytes of its own, so the order is right; nothing else writes
to the transport meanwhile; `done` is called once, whatever happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sdserve.host.fds import Fd

if TYPE_CHECKING:
    from sdserve.worker.http import HttpProtocol

_PART = 256 * 1024
"""Bytes that one turn of the loop may send."""
_READ_PART = 64 * 1024
"""The same where they pass through our memory."""
_RETRY = 0.1
"""Seconds between two attempts where no descriptor is free to wait with."""

Done = Callable[[OSError | None], None]


class FilePart:
    """`count` bytes of a regular file from `offset` on; `descriptor` is our own, to be closed once."""

    __slots__ = ("count", "descriptor", "offset")

    def __init__(self, descriptor: Fd, offset: int, count: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count


class FileBody:
    """Sends `count` bytes of `file` from `offset`. Made and ended by the connection."""

    __slots__ = ("_done", "_file", "_offset", "_over", "_plain", "_protocol", "_waiting", "left", "more")

    def __init__(
        self, protocol: HttpProtocol, file: int, offset: int, count: int, more: bool, done: Done
    ) -> None:
        """Borrow `file`, a regular file's descriptor, until `done` is called."""
        self._protocol = protocol
        self._file = file
        self._offset = offset
        self._done = done
        self._waiting: Fd | None = None
        """The socket's second descriptor: the transport keeps the first one's events to itself."""
        self._over = False
        room = protocol.connection.plain_room(count)
        self._plain = room >= 0 and protocol.tls is None
        self.left = room if room >= 0 else count
        """Bytes that are still to be sent."""
        self.more = more

    def send(self) -> None:
        """Send what one turn may, and see to it that the rest follows."""
        protocol = self._protocol
        if self._over or protocol.transport.is_closing():
            return  # `end` will be, or was, called
        if self.left and protocol.transport.get_write_buffer_size():
            self._wait()
            return
        try:
            blocked = bool(self.left) and self._send_part()
        except ConnectionError:
            protocol.abort()
        except OSError as error:
            protocol.file_failed(error)
        else:
            if not self.left:
                protocol.file_sent()
            elif blocked or self._waiting is not None:
                self._wait()
            else:
                protocol.loop.call_soon(self.send)

    def _send_part(self) -> bool:
        """Send the next part; True if the socket took less than that."""
        sent = 0
        if self._plain:
            size = min(self.left, _PART)
            socket = self._protocol.transport.get_extra_info("socket").fileno()
            try:
                sent = os.sendfile(socket, self._file, self._offset, size)
            except (BlockingIOError, InterruptedError):
                return True
            except ConnectionError:
                raise
            except OSError:
                # No sendfile for this file; if it is another trouble, reading or writing will say so.
                self._plain = False
            else:
                self._protocol.plain_sent(sent)
        if not self._plain:
            size = min(self.left, _READ_PART)
            data = os.pread(self._file, size, self._offset)
            sent = len(data)
            self._protocol.send_data(data, more=True)
        if not sent:
            raise OSError(f"the file ends {self.left} bytes too early")
        self._offset += sent
        self.left -= sent
        return sent < size

    def _wait(self) -> None:
        """Go on when the socket takes bytes again; once we have begun to wait it says so each turn."""
        if self._waiting is not None:
            return
        protocol = self._protocol
        try:
            self._waiting = Fd(os.dup(protocol.transport.get_extra_info("socket").fileno()))
        except OSError:
            protocol.loop.call_later(_RETRY, self.send)
        else:
            protocol.loop.add_writer(self._waiting.fileno(), self.send)

    def end(self, error: OSError | None) -> None:
        """Give everything back, and tell who wanted the file to be sent."""
        if self._over:
            return
        self._over = True
        if self._waiting is not None:
            # Before it is closed: as the socket lives on, epoll(7) would go on telling of it.
            self._protocol.loop.remove_writer(self._waiting.fileno())
            self._waiting.close()
        self._done(error)
