"""What the supervisor, its zygotes and its workers say to each other.

    supervisor -> zygote    Open, ForkWorker
    zygote -> supervisor    Opened or OpenFailed, Forked or ForkRefused
    worker -> supervisor    Ready or BootFailed, RecycleAsked, CodeChanged
    supervisor -> worker    Serve, Drain, Certificates
    supervisor -> preparer  Prepare
    preparer -> supervisor  Prepared or PrepareRefused

Laws:

- Every message names its generation, and a worker's its serial: an answer carries the identity
  of what it answers, nobody infers it from what happens to be current.
- Every field has a default, so that a message from an older version decodes; keys of a newer one
  are dropped. Whether two versions may talk at all is `PROTOCOL`, which Open and Opened carry.
- Descriptors travel beside a message, in the order its docstring says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROTOCOL = 3
"""Raised whenever one side must not run with the other side's older half."""
KEEPER = -1
"""In place of an heir's generation: the supervisor has connections kept for the case of a restart."""
CERTIFICATES_ALONE = -1
"""In place of a generation in `Prepare`: read the certificates of the current one again, nothing else."""
MOST_CHANGED = 20
"""Files that a message names, so that it fits a packet whatever they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Become the zygote of a generation.

    Descriptors: the scoreboard, one for each of `listeners`, the end of the mailbox that its workers read.
    """

    protocol: int = 0
    version: str = ""
    """sdserve's version, for people to read."""
    generation: int = 0
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """The whole configuration as `sdserve.config.codec` writes it."""
    since_ns: int = 0
    """When that was read: nanoseconds since the epoch. Modules that are newer were changed since."""
    directory: str = ""
    """Real path: the first entry of the import path; the process already stands there."""
    site_packages: tuple[str, ...] = ()
    """Directories of the virtual environment that come before sdserve's own packages."""
    listeners: tuple[str, ...] = ()
    """Names of the `[listen:NAME]` sections; two descriptors may share one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The zygote can fork workers."""

    protocol: int = 0
    version: str = ""
    generation: int = 0
    python: str = ""
    """The interpreter's version, as `3.11.2`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailed:
    """The zygote cannot become what Open asked for; it exits next."""

    protocol: int = 0
    version: str = ""
    generation: int = 0
    reason: str = ""
    traceback: str = ""
    """Of the application's import, when that is what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkWorker:
    """Fork one worker.

    Descriptors: its end of the channel between it and the supervisor, and, if a listener speaks TLS, what
    `core.tls.material` encodes.
    """

    generation: int = 0
    serial: int = 0
    slot: int = 0
    row: int = 0
    """Index into the scoreboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """The worker exists and is the supervisor's child."""

    generation: int = 0
    serial: int = 0
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRefused:
    """There is no such worker, and there will not be one."""

    generation: int = 0
    serial: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker can answer requests, and waits for `Serve`."""

    generation: int = 0
    serial: int = 0
    interface: str = ""
    """`wsgi` or `asgi`, as found or configured."""
    changed: tuple[str, ...] = ()
    """Files of imported modules that are newer than the generation, at most `MOST_CHANGED`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFailed:
    """The worker cannot serve; it has written the traceback, if there is one, and exits next."""

    generation: int = 0
    serial: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Begin to take connections. What is killed before has taken none."""

    generation: int = 0
    serial: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Take no more connections, finish what is in flight, exit with 0.

    Said again when the heir is another one. Descriptor: where connections are sent to the `heir`, if any.
    """

    generation: int = 0
    serial: int = 0
    heir: int = 0
    """The generation whose workers take the connections over, or `KEEPER`; 0: nobody does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Read the configuration, find what it names, and see whether the fleet could be taken over.

    Descriptor: what the supervisor would hand over, see `sdserve.supervisor.state`. It and the answers are
    spoken between any two versions: their fields stay what they are.
    """

    generation: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """It can all be used."""

    generation: int = 0
    identity: str = ""
    """Of the program that says this; another one if it has been replaced since the supervisor started."""
    description: str = ""
    """Its version, for people to read."""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """As `sdserve.config.codec` writes it."""
    release: Mapping[str, Any] = field(default_factory=dict)
    """The fields of `sdserve.host.release.Release`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRefused:
    """Something cannot be used."""

    generation: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Show new connections these. Descriptor: what `core.tls.material` encodes, for all listeners."""

    generation: int = 0
    serial: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleAsked:
    """The worker wants to be replaced, and serves until it is told to drain."""

    generation: int = 0
    serial: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChanged:
    """Files of modules that the worker runs are others now than when it imported them."""

    generation: int = 0
    serial: int = 0
    changed: tuple[str, ...] = ()
    """Those that were not told before, at most `MOST_CHANGED`."""


Message = (
    Open
    | Opened
    | OpenFailed
    | ForkWorker
    | Forked
    | ForkRefused
    | Ready
    | BootFailed
    | RecycleAsked
    | CodeChanged
    | Serve
    | Drain
    | Certificates
    | Prepare
    | Prepared
    | PrepareRefused
)
