"""The effective configuration of one instance: a frozen value, built by `config`, used by all above it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions

NO_TLS = TlsOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One `[listen:NAME]` section."""

    name: str
    """Under socket activation the descriptor's FileDescriptorName= in LISTEN_FDNAMES."""
    addresses: tuple[str, ...] = ()
    """`HOST:PORT`, `[V6]:PORT` or `unix:/path`; bound by sdserve itself when it is not socket-activated."""
    backlog: int = 2048
    defer_accept: float = 0.0
    """Seconds; TCP_DEFER_ACCEPT of tcp(7), 0: without."""
    mode: int = 0o660
    """Of a unix socket, as are the next two."""
    owner: str = ""
    """A name or a number; empty: who binds it."""
    group: str = ""
    tls: TlsOptions = NO_TLS
    trusted: tuple[str, ...] = ()
    """Networks as `10.0.0.0/8`, and `unix`: the peers that are proxies."""
    trusted_fields: tuple[str, ...] = ("x-forwarded-for", "x-forwarded-proto")
    """Fields that all of these set themselves, names in lower case."""
    proxy_protocol: bool = False
    root_path: str = ""
    """Where a proxy has mounted the application; it is still in the paths of requests."""


DEFAULT_LISTENER = Listener(name="http", addresses=("127.0.0.1:8000",))
"""What sdserve binds when nothing is configured and systemd passes no socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """The `[log]` section."""

    level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    access: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything a user may set, checked, with all units converted."""

    name: str
    """The instance's name: of the INI file, or `sdserve` for an ad hoc run."""
    app: AppOptions
    listen: tuple[Listener, ...]
    """Empty: every descriptor that systemd passes, under its own name; without one `DEFAULT_LISTENER`."""
    fleet: FleetOptions
    workers: WorkerOptions
    http: HttpOptions
    websocket: WebSocketOptions
    log: LogOptions
    environment: dict[str, str] = field(default_factory=dict)
