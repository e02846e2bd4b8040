"""TLS between the loop's transport and the protocol of a connection, alike on both loops.

It is the standard library's `ssl.SSLObject`, which does no I/O, and not the loops' own TLS: this one answers
plain HTTP, hands on connections on which nothing has come, ends each direction by itself, tells what is yet
to be sent, and costs less memory and time.

To the loop it is a protocol, to the protocol above it is a transport. Nothing is kept here: what comes is
decrypted and passed on at once, what goes is encrypted at once and waits in the loop's transport, so its
limits and its news about them are those of the protocol above. The law: `Handshakes` is told once of each
connection that has ended before there was a protocol above.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, cast

from sdserve.core.proxy.header import ProxyHeader
from sdserve.core.tls.facts import TlsFacts
from sdserve.core.wire.moved import Moved
from sdserve.worker.clock import TICK
from sdserve.worker.http import HttpProtocol
from sdserve.worker.sockets import descriptor_of
from sdserve.worker.tls_contexts import TlsContexts

if TYPE_CHECKING:
    from sdserve.config.model import Listener
    from sdserve.worker.handover import Outbox

log = logging.getLogger("sdserve.tls")

_HANDSHAKE = 22
"""The first byte of a record that a client begins with: RFC 8446 section 5.1."""
_RECORD = 16 * 1024
"""The most that one record holds: RFC 8446 section 5.1."""
_LINGER = 2.0
"""Seconds in which a client that does not speak TLS may read why it is refused."""
_FIRST_WORD = 1.0
"""Seconds that a new connection has for its first byte once we drain."""
_WRONG_PROTOCOL = b"This port speaks HTTPS, and what came is plain HTTP. Use https:// in its address.\n"

MakeProtocol = Callable[[], HttpProtocol]


class TlsLayer(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_above",
        "_contexts",
        "_goodbye_heard",
        "_goodbye_said",
        "_handshakes",
        "_incoming",
        "_make_protocol",
        "_object",
        "_outgoing",
        "_refused",
        "_transport",
        "deadline",
        "has_begun",
        "header",
        "listener",
    )

    def __init__(
        self,
        *,
        handshakes: Handshakes,
        listener: str,
        contexts: TlsContexts,
        deadline: float,
        make_protocol: MakeProtocol,
        header: ProxyHeader | None = None,
    ) -> None:
        """`make_protocol` is called once TLS is spoken, which it has to be by the `deadline`."""
        self._handshakes = handshakes
        self._contexts = contexts
        self._make_protocol = make_protocol
        self.listener = listener
        """Its name."""
        self.header = header
        self.deadline = deadline
        """In seconds of CLOCK_MONOTONIC; a tick late at most."""
        self.has_begun = False
        """Whether any byte has come."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object: ssl.SSLObject
        self._transport: asyncio.Transport
        self._above: asyncio.Protocol | None = None
        self._refused = False
        self._goodbye_said = False
        self._goodbye_heard = False

    # From the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._handshakes.began(self)

    def data_received(self, data: bytes) -> None:
        above = self._above
        if above is None:
            self._shake_hands(data)
        elif self._goodbye_said:
            above.data_received(data)  # which only counts it
        else:
            self._incoming.write(data)
            self._read()

    def eof_received(self) -> bool:
        above = self._above
        if above is None:
            return False
        return self._goodbye_heard or bool(above.eof_received())

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._above is None:
            self._handshakes.failed(self)
        else:
            self._above.connection_lost(error)

    # The handshake

    def _shake_hands(self, data: bytes) -> None:
        if self._refused:
            return
        if not self.has_begun:
            self.has_begun = True
            if data[0] != _HANDSHAKE:
                self._refuse(data)
                return
            self._object = self._contexts.wrap(self._incoming, self._outgoing)
        self._incoming.write(data)
        try:
            self._object.do_handshake()
            facts = self._contexts.facts(self._object)
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, ValueError, IndexError) as error:
            self._handshakes.refused(self._transport, error)
            self._flush()  # the alert that says why
            self._refused = True
            self._transport.close()
        else:
            self._flush()
            self._begin(facts)

    def _begin(self, facts: TlsFacts) -> None:
        above = self._make_protocol()
        self._above = above
        above.tls = facts
        above.peer.scheme = "https"
        self._handshakes.succeeded(self)
        above.connection_made(cast(asyncio.Transport, self))
        if self._incoming.pending:
            self._read()

    def _refuse(self, data: bytes) -> None:
        """Answer plain HTTP so that who is at the other end can read it; others are not answered."""
        self._refused = True
        if not data[:1].isalpha():
            self._transport.close()
            return
        self.deadline = self._handshakes.now() + _LINGER
        head = [
            b"HTTP/1.1 400 Bad Request" + self._handshakes.standing(),
            b"content-type: text/plain; charset=utf-8",
            b"content-length: %d" % len(_WRONG_PROTOCOL),
            b"connection: close",
        ]
        self._transport.write(b"\r\n".join([*head, b"", _WRONG_PROTOCOL]))
        try:
            # What it still sends is read: a reset would overtake the answer.
            self._transport.write_eof()
        except OSError:
            self._transport.abort()

    def take_descriptor(self) -> int:
        """Borrow the socket of a connection that has not begun."""
        return descriptor_of(self._transport)

    # Reading

    def _read(self) -> None:
        """Pass on all that can be decrypted."""
        incoming, connection = self._incoming, self._object
        try:
            while (above := self._above) is not None:  # it may give its place to another
                plain = connection.read(_RECORD)
                if not plain:
                    self._hear_goodbye(above)
                    return
                above.data_received(plain)
                if self._goodbye_said or self._transport.is_closing():
                    return
                if not incoming.pending:
                    break  # asking OpenSSL whether there is more would cost an exception each time
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            log.debug("a connection is ended: %s", error)
            self._flush()
            self._transport.abort()
            return
        if self._outgoing.pending:
            self._flush()  # TLS has said something by itself, as to a change of keys

    def _hear_goodbye(self, above: asyncio.Protocol) -> None:
        self._goodbye_heard = True
        if not above.eof_received():
            self.close()

    # For the protocol above: a transport

    def write(self, data: bytes) -> None:
        """Send `data`."""
        if not data or self._goodbye_said:
            return
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            log.debug("a connection is ended: %s", error)
            self._transport.abort()
            return
        self._transport.write(self._outgoing.read())

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Send all parts."""
        self.write(b"".join(parts))

    def can_write_eof(self) -> bool:
        """Whether `write_eof` works: it says good-bye."""
        return True

    def write_eof(self) -> None:
        """Send no more; what comes is passed on as it is. OSError if the client is gone."""
        self._say_goodbye()
        self._transport.write_eof()

    def close(self) -> None:
        """End the connection when all is sent."""
        self._say_goodbye()
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once, and without good-bye: the client sees that this was not all."""
        self._goodbye_said = True
        self._transport.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Pass what comes from now on to another one."""
        self._above = cast(asyncio.Protocol, protocol)

    def is_closing(self) -> bool:
        """Whether it is at its end."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Pass nothing more on."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When to tell the protocol to wait: in bytes, encrypted."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return what is yet to be sent, in bytes, encrypted."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the loop's transport knows, and the `ssl_object`."""
        return self._object if name == "ssl_object" else self._transport.get_extra_info(name, default)

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._transport.write(data)

    def _say_goodbye(self) -> None:
        """Send close_notify (RFC 8446 section 6.1); as with FIN nobody waits for the other's."""
        if self._goodbye_said or self._transport.is_closing():
            return
        self._goodbye_said = True
        with suppress(ssl.SSLError):  # it has written ours, and has not found the client's
            self._object.unwrap()
        self._flush()


class Handshakes:
    """The connections of a worker on which TLS is not spoken yet."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        standing: Callable[[], bytes],
        failed: Callable[[], None],
        refused: Callable[[asyncio.Transport, Exception], None],
    ) -> None:
        """`now` is CLOCK_MONOTONIC, a tick late at most; `standing` our own fields of an answer.

        `failed` is told of each connection that ends here, `refused` why one was ended.
        """
        self.now = now
        self.standing = standing
        self.refused = refused
        self._failed = failed
        self._layers: set[TlsLayer] = set()

    def __len__(self) -> int:
        return len(self._layers)

    def factory(
        self,
        listener: Listener,
        contexts: TlsContexts,
        make_protocol: MakeProtocol,
        header: ProxyHeader | None = None,
    ) -> Callable[[], TlsLayer]:
        """Return what makes the layer of one connection, whose time begins now.

        `header` is that of a proxy before it, to go along if the connection is handed over.
        """
        deadline = self.now() + listener.tls.handshake_timeout
        return lambda: TlsLayer(
            handshakes=self,
            listener=listener.name,
            contexts=contexts,
            deadline=deadline,
            make_protocol=make_protocol,
            header=header,
        )

    def began(self, layer: TlsLayer) -> None:
        """A connection is there."""
        self._layers.add(layer)

    def succeeded(self, layer: TlsLayer) -> None:
        """It has a protocol now."""
        self._layers.discard(layer)

    def failed(self, layer: TlsLayer) -> None:
        """It is gone."""
        self._layers.discard(layer)
        self._failed()

    def tick(self, now: float) -> None:
        """End those that take too long."""
        for layer in [layer for layer in self._layers if layer.deadline <= now - TICK]:
            layer.deadline = inf
            layer.abort()

    def hand_over(self, outbox: Outbox) -> int:
        """Send those on which nothing has come to another worker; how many went."""
        count = 0
        for layer in [layer for layer in self._layers if not layer.has_begun and not layer.is_closing()]:
            moved = Moved(listener=layer.listener, tls=True, deadline=layer.deadline, header=layer.header)
            if not outbox.send(layer.take_descriptor(), moved):
                break
            layer.abort()  # our descriptor only: the connection lives on
            count += 1
        return count

    def hurry(self) -> None:
        """Those on which nothing has come have little time left."""
        latest = self.now() + _FIRST_WORD
        for layer in self._layers:
            if not layer.has_begun:
                layer.deadline = min(layer.deadline, latest)

    def abort(self) -> None:
        """End them all."""
        for layer in list(self._layers):
            layer.abort()
