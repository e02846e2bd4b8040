"""What somebody at a terminal sees when it works."""

from __future__ import annotations

import os
import socket

from sdserve import __version__
from sdserve.config.model import Configuration
from sdserve.host import logs
from sdserve.host.addresses import describe
from sdserve.host.listeners import ListenSocket
from sdserve.supervisor.house import House


def show(house: House) -> None:
    """Write the banner to standard error if that is a terminal."""
    if os.isatty(logs.STDERR):
        logs.offer(text(house))


def text(house: House) -> str:
    """The banner: what is served, how, where, and how to stop."""
    configuration = house.configuration
    workers, threads = configuration.fleet.count, configuration.workers.threads
    rows = [
        ("Application", f"{configuration.app.application} ({house.interface})"),
        ("Generation", ", ".join(map(str, sorted(house.zygotes)))),
        ("Workers", f"{workers} x {threads} {'thread' if threads == 1 else 'threads'}"),
        *(("Listening", url(listener, configuration)) for listener in house.listeners),
        ("Reload", f"sdserve reload {configuration.name}" if house.control else f"kill -HUP {os.getpid()}"),
        ("Stop", "Ctrl-C"),
    ]
    lines = [f"  {label:<12}{value}" for label, value in rows]
    return "\n".join(["", f"  sdserve {__version__}", *lines, "", ""])


def url(listener: ListenSocket, configuration: Configuration) -> str:
    """Where a browser would go; a unix socket as it is configured."""
    place = describe(listener.socket.getsockname(), listener.socket.family)
    if listener.socket.family == socket.AF_UNIX:
        return place
    is_secure = any(section.name == listener.name and section.tls.is_on for section in configuration.listen)
    return f"{'https' if is_secure else 'http'}://{place}/"
