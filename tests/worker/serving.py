"""A real server in this process: its own event loop in a thread, a real listener, clients on raw sockets.

    worker = serve(application)
    client = worker.connect()
    client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    assert client.response().body == b"hello"

The loop ticks twenty times a second instead of once, so deadlines can be short. Whatever the event loop would
only have logged (an exception nobody retrieved, a task destroyed while it was pending) fails the test.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sdserve.config.model import NO_TLS, Listener
from sdserve.core.gateway.interface import ASGI, AUTO, detect_interface
from sdserve.core.gateway.options import WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.host.scoreboard import WORDS, ScoreboardRow
from sdserve.host.tls import read_material
from sdserve.worker.access import AccessLog
from sdserve.worker.asgi import AsgiGateway
from sdserve.worker.boot import new_event_loop
from sdserve.worker.server import Heir, Server
from sdserve.worker.tls_contexts import contexts_of
from sdserve.worker.wsgi import WsgiGateway

TIMEOUT = 10.0
"""Seconds for anything a test waits for: the end of a hang, no measure of speed."""
TICK = 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read to its end."""

    status: int
    fields: dict[str, str]
    body: bytes


class Client:
    """A connection, without any idea of its own about what a client may do."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(TIMEOUT)
        self.socket = connected
        self._file = connected.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """Send no more, but read on."""
        self.socket.shutdown(socket.SHUT_WR)

    def request(self, data: bytes = REQUEST) -> Response:
        self.send(data)
        return self.response("HEAD" if data.startswith(b"HEAD") else "GET")

    def line(self) -> bytes:
        return self._file.readline()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, as they stand on the wire."""
        return self._file.read(size)

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return self._file.read()

    def rest_of_cut(self) -> bytes:
        """Everything up to the end of the connection, nothing if a reset took it away."""
        try:
            return self.rest()
        except ConnectionResetError:
            return b""

    def head(self) -> tuple[int, dict[str, str]]:
        """The next head: its status and its fields, none of which may come twice."""
        status_line = self.line()
        assert status_line.startswith(b"HTTP/1.1 "), status_line
        fields: dict[str, str] = {}
        while (line := self.line()) != b"\r\n":
            name, _, value = line.decode("latin-1").removesuffix("\r\n").partition(": ")
            assert name.lower() not in fields, f"{name} came twice"
            fields[name.lower()] = value
        return int(status_line[9:12]), fields

    def chunk(self) -> bytes:
        """The payload of the next chunk, b"" for the last."""
        size = int(self.line(), 16)
        data = self.read(size)
        assert self.line() == b"\r\n"
        return data

    def response(self, method: str = "GET") -> Response:
        status, fields = self.head()
        if method == "HEAD" or status in (204, 304):
            return Response(status, fields, b"")
        if fields.get("transfer-encoding") == "chunked":
            return Response(status, fields, b"".join(iter(self.chunk, b"")))
        if "content-length" in fields:
            body = self.read(int(fields["content-length"]))
            assert len(body) == int(fields["content-length"])
            return Response(status, fields, body)
        return Response(status, fields, self.rest())

    def is_over(self) -> bool:
        """Whether the server has closed, in order or not, without another byte."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def reset(self) -> None:
        """Leave without good-bye: no more is sent, and none is taken."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class Records(logging.Handler):
    """What the server's loggers were told."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def texts(self, level: int = logging.DEBUG) -> list[str]:
        """The messages of at least this level."""
        return [record.getMessage() for record in self.records if record.levelno >= level]


class Worker:
    """A server with its gateway, serving until `stop`."""

    def __init__(
        self,
        application: Any,
        *,
        loop_kind: str,
        interface: str = AUTO,
        threads: int = 1,
        drain_timeout: float = 5.0,
        request_timeout: float = 0.0,
        max_queue_time: float = 0.0,
        workers: dict[str, Any] | None = None,
        websocket: dict[str, Any] | None = None,
        mailbox: socket.socket | None = None,
        access: bool = False,
        unix: str = "",
        ipv6: bool = False,
        send_buffer: int = 0,
        tls: TlsOptions = NO_TLS,
        listen: dict[str, Any] | None = None,
        **http: Any,
    ) -> None:
        self.log = Records()
        self.row = ScoreboardRow(memoryview(bytearray(WORDS * 8)).cast("Q"))
        self.loop = new_event_loop(loop_kind)
        self.server: Server
        self.retiring: list[str] = []
        """Why it asked to be replaced."""
        self._application = application
        self._interface = detect_interface(application, interface)
        self._http = HttpOptions(**http)
        self._options = WorkerOptions(
            threads=threads,
            drain_timeout=drain_timeout,
            request_timeout=request_timeout,
            max_queue_time=max_queue_time,
            **(workers or {}),
        )
        self._websocket = WebSocketOptions(**(websocket or {}))
        self._mailbox = mailbox
        self._access = access
        self.section = Listener(name="http", tls=tls, **(listen or {}))
        self._listener = _listen(unix, ipv6, send_buffer)
        self.address = self._listener.getsockname()
        self._clients: list[Client] = []
        self._unhandled: list[dict[str, Any]] = []
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Return when it serves; raise what its start raised."""
        logger = logging.getLogger("sdserve")
        logger.addHandler(self.log)
        logger.setLevel(logging.DEBUG)
        self._thread.start()
        assert self._started.wait(TIMEOUT)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self) -> None:
        try:
            self.loop.set_exception_handler(lambda _, context: self._unhandled.append(context))
            self.loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self.loop.close()
            self._started.set()

    async def _serve(self) -> None:
        if self._interface == ASGI:
            gateway: Any = AsgiGateway(
                self._application, self.loop, self._options.request_timeout, self._websocket
            )
        else:
            gateway = WsgiGateway(self._application, self.loop, self._options, self._http.body_memory)
        self.server = Server(
            loop=self.loop,
            gateway=gateway,
            http=self._http,
            websocket=self._websocket,
            workers=self._options,
            row=self.row,
            access=AccessLog() if self._access else None,
        )
        self.server.when_retiring = self.retiring.append
        if isinstance(gateway, WsgiGateway):
            gateway.retire = self.server.retire
        await gateway.start()
        self.use_certificates()
        self.server.stand_by()
        self.server.serve([(self.section, self._listener)], self._mailbox)
        self._started.set()
        await self.server.wait_drained()

    def use_certificates(self) -> None:
        """Read the files of the listener, if it has some, and show new connections what they hold."""
        if self.section.tls.is_on:
            self.server.tls = contexts_of([self.section], {"http": read_material(self.section.tls)})

    def connect_tls(self, context: ssl.SSLContext, name: str = "a.example") -> Client:
        """A new connection that speaks TLS."""
        connected = socket.create_connection(self.address, TIMEOUT)
        # An end without the good-bye of TLS raises SSLEOFError.
        wrapped = context.wrap_socket(connected, server_hostname=name, suppress_ragged_eofs=False)
        self._clients.append(Client(wrapped))
        return self._clients[-1]

    def connect(self, receive_buffer: int = 0) -> Client:
        """A new connection; with a small `receive_buffer` its client can be seen not to read."""
        client = socket.socket(self._listener.family)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(TIMEOUT)
        client.connect(self.address)
        self._clients.append(Client(client))
        return self._clients[-1]

    def request(self, data: bytes = REQUEST) -> Response:
        """One request on a connection of its own."""
        client = self.connect()
        response = client.request(data)
        client.close()
        return response

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call on the server's thread; what it returns."""

        async def called() -> Any:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(TIMEOUT)

    def settle(self) -> None:
        """Return when the server has read what clients have sent: its loop has turned twice since."""
        for _ in range(2):
            self.call(lambda: None)

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """What `condition`, called on the server's thread, returns once that is true."""
        deadline = time.monotonic() + TIMEOUT
        while not (met := self.call(condition)):
            assert time.monotonic() < deadline, "it did not come to that"
        return met

    def drain(self, heir: Heir | None = None) -> None:
        self.call(self.server.drain, heir)

    def wait_until_drained(self) -> None:
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "it did not drain"

    def errors(self) -> list[str]:
        """Drain it, and return what it had to complain about from beginning to end."""
        for client in self._clients:
            client.close()
        self._finish()
        return self.log.texts(logging.ERROR)

    def _finish(self) -> None:
        """Drain it; one that drains already may end, and its loop with it, at any moment."""
        if self._thread.is_alive():
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.server.drain)
            self.wait_until_drained()

    def stop(self) -> None:
        """Drain it, unless that has happened. Nothing may have been left to the loop's exception handler."""
        try:
            for client in self._clients:
                client.close()
            self._finish()
        finally:
            logging.getLogger("sdserve").removeHandler(self.log)
            self._listener.close()
        assert self._unhandled == [], self._unhandled
        if self._failure is not None:
            raise self._failure


def _listen(unix: str, ipv6: bool, send_buffer: int) -> socket.socket:
    family = socket.AF_UNIX if unix else socket.AF_INET6 if ipv6 else socket.AF_INET
    listener = socket.socket(family)
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # accepted ones inherit it
    listener.bind(unix or ("::1" if ipv6 else "127.0.0.1", 0))
    listener.listen(64)
    listener.setblocking(False)
    return listener
