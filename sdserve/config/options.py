"""Every option there is, declared once.

Reading, checking, `sdserve show`, `--set` and the table in the manual all follow from `OPTIONS`. Defaults are
those of the options classes of the rooms; they are not repeated here. To add an option, add a field to such a
class and a line below.

What systemd has already (user, umask, limits, a pid file, going into the background) is no option of ours.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from sdserve.config import kinds
from sdserve.config.kinds import Kind
from sdserve.config.model import Listener, LogOptions
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions

LISTEN = "listen"
"""Sections of this kind carry a name: `[listen:NAME]`."""
ENVIRONMENT = "environment"
"""The one section whose options are not declared: their names are those of environment variables."""

DAY = 86400.0
INSTANT = 0.001
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of one section."""

    section: str
    name: str
    kind: Kind
    owners: tuple[type, ...]
    """The options classes that have it as a field."""
    field: str
    needs_restart: bool
    """A reload is not enough to change it."""
    help: str

    @property
    def default(self) -> Any:
        """What the first of its owners says; they agree."""
        return next(field.default for field in dataclasses.fields(self.owners[0]) if field.name == self.field)


def _option(
    full_name: str,
    owners: type | tuple[type, ...],
    kind: Kind,
    text: str,
    *,
    field: str = "",
    restart: bool = False,
) -> Option:
    section, name = full_name.split(".")
    return Option(
        section=section,
        name=name,
        kind=kind,
        owners=owners if isinstance(owners, tuple) else (owners,),
        field=field or name,
        needs_restart=restart,
        help=text,
    )


OPTIONS: tuple[Option, ...] = (
    _option("app.application", AppOptions, kinds.application(),
            "The WSGI or ASGI application, or a function without arguments that returns it."),
    _option("app.directory", AppOptions, kinds.path(),
            "Working directory of the workers and first entry of their import path. Empty: where sdserve is "
            "started. Symbolic links are resolved once per start or reload."),
    _option("app.venv", AppOptions, kinds.path(),
            "The application's virtual environment. Empty: sdserve's own Python packages."),
    _option("app.interface", AppOptions, kinds.choice("auto", "wsgi", "asgi"),
            "What the application speaks; `auto` finds out."),
    _option("app.preload", AppOptions, kinds.boolean(),
            "Import the application once, before the workers are forked, so that they share its memory."),
    _option("listen.address", Listener, kinds.addresses(),
            "Where to listen. `localhost` is 127.0.0.1; other names are not resolved. Without one it is left "
            "to a socket unit of your own.", field="addresses", restart=True),
    _option("listen.backlog", Listener, kinds.integer(1, 65535),
            "Connections that may wait to be accepted.", restart=True),
    _option("listen.mode", Listener, kinds.file_mode(),
            "Permissions of a unix socket.", restart=True),
    _option("listen.owner", Listener, kinds.account(),
            "Owner of a unix socket. Empty: root under systemd, else the user that sdserve runs as.",
            restart=True),
    _option("listen.group", Listener, kinds.account(),
            "Group of a unix socket, as `www-data` for nginx on Debian. Empty: that of the owner.",
            restart=True),
    _option("listen.defer_accept", Listener, kinds.duration(0, 3600),
            "How long a TCP connection may wait in the kernel for its first byte before a worker hears of "
            "it. 0: not at all.", restart=True),
    _option("listen.certificate", TlsOptions, kinds.certificate_files(),
            "Speak TLS with this certificate: PEM, the server's own first, then who has issued it. Of "
            "several, the client's server name (SNI) chooses; the first is for names that none is for.",
            field="certificates"),
    _option("listen.key", TlsOptions, kinds.certificate_files(),
            "The private keys of the certificates, in their order. None: they are in the same files.",
            field="keys"),
    _option("listen.client_ca", TlsOptions, kinds.certificate_file(),
            "Ask clients for a certificate from one of these authorities. Empty: do not ask."),
    _option("listen.client_certificate", TlsOptions, kinds.choice("required", "optional"),
            "What `client_ca` asks of a client that has no certificate."),
    _option("listen.tls_minimum", TlsOptions, kinds.choice("1.2", "1.3"),
            "The oldest version of TLS that is spoken.", field="minimum_version"),
    _option("listen.tls_ciphers", TlsOptions, kinds.ciphers(),
            "The cipher suites of TLS 1.2, as OpenSSL writes them. TLS 1.3 has sound ones only.",
            field="ciphers"),
    _option("listen.handshake_timeout", TlsOptions, kinds.duration(INSTANT, DAY),
            "How long a client may take until TLS is spoken."),
    _option("listen.trusted", Listener, kinds.peers(),
            "The proxies: peers of this listener that may say for whom they speak. `unix`: everybody who may "
            "connect to its unix socket. Empty: nobody."),
    _option("listen.trusted_fields", Listener, kinds.proxy_fields(),
            "The fields in which a trusted peer is believed: those that all of them set or remove, whatever "
            "their client has sent."),
    _option("listen.proxy_protocol", Listener, kinds.boolean(),
            "Each connection has to begin with a header of the PROXY protocol, version 1 or 2, which only a "
            "trusted peer may send."),
    _option("listen.root_path", Listener, kinds.root_path(),
            "Where a proxy has mounted the application, without cutting that off: all paths begin with it."),
    _option("workers.count", FleetOptions, kinds.auto_or_integer(1, 1024),
            "Worker processes. `auto`: the CPUs that the service may use, by affinity and CPU quota, but no "
            "more than its memory limit has room for, at `max_memory` or 128M each."),
    _option("workers.threads", WorkerOptions, kinds.integer(1, 1024),
            "Requests to a WSGI application that one worker runs at the same time. 1: without a pool."),
    _option("workers.loop", WorkerOptions, kinds.choice("uvloop", "asyncio"),
            "The event loop of the workers."),
    _option("workers.boot_timeout", FleetOptions, kinds.duration(INSTANT, DAY),
            "From the fork of a worker until it answers; one that takes longer is killed."),
    _option("workers.drain_timeout", (FleetOptions, WorkerOptions), kinds.duration(0, DAY),
            "How long the requests of a worker that has to go may take to finish."),
    _option("workers.drain_soft", WorkerOptions, kinds.duration(0, DAY),
            "How long an answer that has begun may go on when its worker has to go, before the application "
            "is told that its time is up."),
    _option("workers.websocket_drain", WorkerOptions, kinds.duration(0, DAY),
            "Over how long the WebSockets of a worker that has to go are closed, one by one, so that their "
            "clients do not all come back at once."),
    _option("workers.max_requests", WorkerOptions, kinds.integer(0, 999_999_999),
            "A worker that has answered so many requests is replaced. 0: never."),
    _option("workers.max_age", WorkerOptions, kinds.duration(0, 365 * DAY),
            "A worker that is so old is replaced. 0: never."),
    _option("workers.max_memory", WorkerOptions, kinds.size(0, 1024 * GIB),
            "A worker that has more than this in memory (resident set) is replaced. 0: never."),
    _option("workers.request_timeout", WorkerOptions, kinds.duration(0, DAY),
            "How long the application may make no progress with a request before it is ended. 0: for ever."),
    _option("workers.max_queue_time", WorkerOptions, kinds.duration(0, DAY),
            "How long a request may wait for one of several `threads`, before the answer is 503. 0: for "
            "ever."),
    _option("workers.stall_timeout", FleetOptions, kinds.duration(0, DAY),
            "How long the event loop of a worker may stand still; one that does not go on then is killed. "
            "0: for ever."),
    _option("workers.idle_exit", FleetOptions, kinds.duration(0, 365 * DAY),
            "After so long without a connection the service stops; the next one starts it again. Only with a "
            "socket unit. 0: never."),
    _option("workers.min_ready", FleetOptions, kinds.integer(0, 1024),
            "Workers that have to be ready before the service is. 0: all."),
    _option("reload.surge", FleetOptions, kinds.integer(1, 1024),
            "How many workers more than `count` may boot at once to replace others."),
    _option("reload.warmup_path", WorkerOptions, kinds.request_path(),
            "What a worker asks itself for before it is ready; an answer other than 2xx or 3xx fails its "
            "start. Empty: nothing."),
    _option("http.parser", HttpOptions, kinds.choice("strict", "h11"),
            "Who reads requests: sdserve's own strict parser, or the h11 library under the same rules."),
    _option("http.max_request_line", HttpOptions, kinds.size(64, MIB),
            "The longest first line of a request."),
    _option("http.max_field", HttpOptions, kinds.size(64, MIB),
            "The longest header field, name and value."),
    _option("http.max_fields", HttpOptions, kinds.integer(1, 10_000),
            "The most header fields of a request."),
    _option("http.max_head", HttpOptions, kinds.size(64, 16 * MIB),
            "The longest request line and header fields together."),
    _option("http.max_trailers", HttpOptions, kinds.size(0, MIB),
            "The longest trailer section of a request body in chunks."),
    _option("http.max_chunk_extensions", HttpOptions, kinds.size(0, MIB),
            "The most bytes of chunk extensions in one request body."),
    _option("http.max_body", HttpOptions, kinds.size(0, 1024 * GIB),
            "The longest request body. 0: no limit."),
    _option("http.body_memory", HttpOptions, kinds.size(0, GIB),
            "A request body for a WSGI application that is longer than this goes to a temporary file."),
    _option("http.max_output", HttpOptions, kinds.size(KIB, 64 * MIB),
            "How much of an answer waits in a worker's memory for a slow client, before the application has "
            "to wait instead."),
    _option("http.max_pipelined", HttpOptions, kinds.integer(1, 10_000),
            "How many requests that a client has sent ahead are answered before others have their turn."),
    _option("http.max_connections", HttpOptions, kinds.integer(0, 1_000_000),
            "The most connections of one worker; more wait for another worker, or in the backlog. 0: as many "
            "as it has descriptors for."),
    _option("http.head_timeout", HttpOptions, kinds.duration(INSTANT, DAY),
            "From the first byte of a request to the end of its header fields."),
    _option("http.body_timeout", HttpOptions, kinds.duration(INSTANT, DAY),
            "The longest silence of a client that is sending a body."),
    _option("http.body_min_rate", HttpOptions, kinds.size(0, MIB),
            "Bytes a second: a client may be late by `body_timeout` in sending a body that fast, and has to "
            "take answers that fast over each `write_timeout`. 0: one byte is enough."),
    _option("http.keepalive_timeout", HttpOptions, kinds.duration(INSTANT, DAY),
            "How long a connection may wait for its next request; longer than the proxy in front keeps it."),
    _option("http.write_timeout", HttpOptions, kinds.duration(INSTANT, DAY),
            "How long a client may take nothing of an answer, or less than `body_min_rate` asks for."),
    _option("http.server_header", HttpOptions, kinds.field_value(),
            "The value of the Server field of answers."),
    _option("websocket.max_message", WebSocketOptions, kinds.size(125, GIB),
            "The longest message of a client, after inflating."),
    _option("websocket.max_queue", WebSocketOptions, kinds.integer(1, 10_000),
            "How many messages wait for the application before the client is read no further; with more than "
            "256K of them together it is fewer."),
    _option("websocket.compression", WebSocketOptions, kinds.boolean(),
            "Agree to compress messages (permessage-deflate) with clients that offer it."),
    _option("websocket.ping_interval", WebSocketOptions, kinds.duration(0, DAY),
            "How often a client is asked whether it is still there. 0: never."),
    _option("websocket.ping_timeout", WebSocketOptions, kinds.duration(0, DAY),
            "How long a client may be silent after that. 0: for ever."),
    _option("websocket.close_timeout", WebSocketOptions, kinds.duration(INSTANT, DAY),
            "How long a client may take to answer when its WebSocket is closed."),
    _option("log.level", LogOptions, kinds.choice("debug", "info", "warning", "error"),
            "The least important messages that are written."),
    _option("log.access", LogOptions, kinds.boolean(),
            "Write one line for each request."),
)  # fmt: skip

BY_SECTION: dict[str, dict[str, Option]] = {}
for _declared in OPTIONS:
    BY_SECTION.setdefault(_declared.section, {})[_declared.name] = _declared
