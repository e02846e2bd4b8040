"""Becoming the zygote of one generation: check who asks, arrange the import path, load the code."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sdserve import __version__
from sdserve.config import codec
from sdserve.config.model import Configuration
from sdserve.core import wire
from sdserve.errors import WireError
from sdserve.host import logs
from sdserve.host.channel import Received
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.worker_context import WorkerContext
from sdserve.zygote import checks, importpath

WorkerMain = Callable[[WorkerContext, Configuration], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Where the code comes from that this package may not import: `run` passes it in."""

    load_worker: Callable[[], WorkerMain]
    """Import what every worker needs. Called when the import path is right."""
    import_application: Callable[[str], Any]
    """Import the application of `preload = yes`. Raises BootError."""


@dataclass(slots=True, kw_only=True)
class Generation:
    """All that the workers to come have in common."""

    number: int
    since_ns: int
    configuration: Configuration
    scoreboard: Scoreboard
    listeners: list[tuple[str, socket.socket]]
    mailbox: socket.socket
    worker_main: WorkerMain
    application: Any = None


def prepare(received: Received, code: Code) -> Generation:
    """Become what the Open in `received` asks for.

    WireError if it cannot be understood, BootError if the application cannot be preloaded, and
    whatever importing raises in a broken environment.
    """
    order = received.message
    if not isinstance(order, wire.Open):
        raise WireError(f"the first message to a zygote is Open, not {type(order).__name__}")
    check_protocol(order)
    if len(received.descriptors) != 2 + len(order.listeners):
        raise WireError(
            f"Open came with {len(received.descriptors)} descriptors for {len(order.listeners)} listeners"
        )
    scoreboard, *listening, mailbox = received.descriptors
    listeners = [
        (name, socket.socket(fileno=fd.steal())) for name, fd in zip(order.listeners, listening, strict=True)
    ]
    for _, listener in listeners:
        listener.setblocking(False)
    configuration = codec.decode(order.configuration)
    logs.configure(configuration.log.level)
    importpath.arrange(order.directory, order.site_packages)
    generation = Generation(
        number=order.generation,
        since_ns=order.since_ns,
        configuration=configuration,
        scoreboard=Scoreboard(scoreboard),
        listeners=listeners,
        mailbox=socket.socket(fileno=mailbox.steal()),
        worker_main=code.load_worker(),
    )
    if configuration.workers.loop == "uvloop":
        with suppress(ImportError):  # the workers say so better
            import uvloop  # noqa: F401 - native code and its modules, once for all workers
    if configuration.app.preload:
        before = checks.open_descriptors()
        generation.application = code.import_application(configuration.app.application)
        checks.check_forkable(before)
    # What lives now lives for ever: the collector of a worker would only touch, and so copy, its pages.
    gc.collect()
    gc.freeze()
    return generation


def check_protocol(order: wire.Open) -> None:
    """WireError unless the supervisor speaks the language of this very version."""
    if order.protocol != wire.PROTOCOL:
        raise WireError(
            f"sdserve {order.version} (protocol {order.protocol}) cannot use the sdserve {__version__} "
            f"(protocol {wire.PROTOCOL}) of this interpreter; install the same version on both sides"
        )
