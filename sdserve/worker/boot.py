"""A worker's life from the fork to its exit status."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import socket
import sys
from contextlib import closing
from typing import Any

from sdserve.config.model import Configuration, Listener
from sdserve.core.gateway.interface import ASGI, detect_interface
from sdserve.core.wire.messages import MOST_CHANGED, BootFailed, CodeChanged, Ready, RecycleAsked
from sdserve.errors import EXIT_BOOT, EXIT_OK, BootError, CertificateError, WireError
from sdserve.host import logs, modules, stacks
from sdserve.host.fds import Fd
from sdserve.host.importer import import_application
from sdserve.host.worker_context import WorkerContext
from sdserve.worker.access import AccessLog
from sdserve.worker.asgi import AsgiGateway
from sdserve.worker.channel import Channel
from sdserve.worker.code_watch import CodeWatch
from sdserve.worker.exchange import Gateway
from sdserve.worker.server import Server
from sdserve.worker.tls_contexts import read_contexts
from sdserve.worker.warmup import warm_up
from sdserve.worker.wsgi import WsgiGateway

log = logging.getLogger("sdserve.worker")

LAST_WORD = 1.0
"""Seconds that an application has to end if its worker was not fit to serve."""
WARMUP_SHARE = 0.8
"""Of `workers.boot_timeout`, which began with the fork: the reason should arrive before it ends."""


def worker_main(context: WorkerContext, configuration: Configuration) -> int:
    """Import the application if it was not preloaded, serve until told to drain, return the exit status."""
    logs.configure(configuration.log.level, slot=context.slot, generation=context.generation)
    dumped = Dumped()
    stacks.write_on_request(dumped.say)
    os.environ["SDSERVE_SLOT"] = str(context.slot)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What an application prints belongs into the log when it is printed, also where that is no terminal.
        sys.stdout.reconfigure(line_buffering=True)
    context.row.begin(generation=context.generation, serial=context.serial, slot=context.slot)
    channel = Channel(context.channel)
    try:
        with closing(new_event_loop(configuration.workers.loop)) as loop:
            asyncio.set_event_loop(loop)
            application = context.application
            if application is None:
                application = import_application(configuration.app.application)
            logs.keep_own_loggers()  # its logging configuration may have switched them off
            return _run(loop, loop.create_task(_serve(context, configuration, channel, application, dumped)))
    except BootError as error:
        _report_failure(context, channel, error)
        return EXIT_BOOT


def _run(loop: asyncio.AbstractEventLoop, serving: asyncio.Task[int]) -> int:
    """Run the loop until the worker has served, also if the application ends the loop before."""
    while True:
        try:
            return loop.run_until_complete(serving)
        except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
            if serving.done():
                raise
            # sys.exit() in a task or a callback of the application's, or its loop.stop().
            log.error("the application ended the event loop, going on: %r", error)


def new_event_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a new loop: `uvloop`'s, or the standard library's for `asyncio`. BootError without uvloop."""
    if kind == "uvloop":
        try:
            # Only where it is chosen: it is native code, and the choice is the way around its bugs.
            import uvloop
        except ImportError as error:
            raise BootError(
                f"uvloop cannot be imported ({error}); install uvloop or set workers.loop = asyncio"
            ) from error

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


class Dumped:
    """What is said after the stacks of this process were asked for."""

    server: Server | None = None
    """Once there is one."""

    def say(self) -> None:
        """On the main thread, between any two instructions of it."""
        if self.server is not None:
            self.server.say_what_is_in_flight()


async def _serve(
    context: WorkerContext,
    configuration: Configuration,
    channel: Channel,
    application: Any,
    dumped: Dumped,
) -> int:
    loop = asyncio.get_running_loop()
    gateway = _make_gateway(application, configuration, loop)
    server = dumped.server = _make_server(context, configuration, gateway, loop)
    identity = {"generation": context.generation, "serial": context.serial}

    if isinstance(gateway, WsgiGateway):
        gateway.retire = server.retire
    await gateway.start()
    if path := configuration.workers.warmup_path:
        try:
            await warm_up(server, path, WARMUP_SHARE * configuration.fleet.boot_timeout)
        except BootError:
            await gateway.stop(LAST_WORD)
            raise

    def renew(taken: Fd) -> None:
        try:
            server.tls = read_contexts(taken, configuration.listen)
        except (CertificateError, WireError) as error:
            log.error("the certificates stay as they were: %s", error)

    listeners = _with_options(context, configuration)
    channel.listen(
        loop, serve=lambda: server.serve(listeners, context.mailbox), drain=server.drain, renew=renew
    )
    logs.keep_own_loggers()
    changed: tuple[str, ...] = ()
    if context.since_ns and context.application is None:
        # Preloaded code is what it was; and looking at all modules would copy their shared pages.
        changed = modules.newer_than(context.since_ns, most=MOST_CHANGED)
    # Before Ready is sent: the supervisor watches whom the scoreboard says to be ready, and may then sleep.
    server.stand_by()
    # After it has ticked, and with nothing awaited until Ready is sent: only who is ready can be replaced.
    server.when_retiring = lambda reason: channel.send(RecycleAsked(**identity, reason=reason))
    loop.add_signal_handler(signal.SIGTERM, server.retire, "it got SIGTERM")
    channel.send(Ready(**identity, interface=gateway.interface, changed=changed))
    if context.since_ns and context.application is None:

        def report(changed: tuple[str, ...]) -> None:
            channel.send(CodeChanged(**identity, changed=changed[:MOST_CHANGED]))

        CodeWatch(loop, report).look()
    await server.wait_drained()
    await loop.shutdown_asyncgens()
    return EXIT_OK


def _make_server(
    context: WorkerContext, configuration: Configuration, gateway: Gateway, loop: asyncio.AbstractEventLoop
) -> Server:
    server = Server(
        loop=loop,
        gateway=gateway,
        http=configuration.http,
        websocket=configuration.websocket,
        workers=configuration.workers,
        row=context.row,
        access=AccessLog() if configuration.log.access else None,
    )
    try:
        server.tls = read_contexts(context.certificates, configuration.listen)
    except (CertificateError, WireError) as error:
        raise BootError(str(error)) from None
    return server


def _with_options(
    context: WorkerContext, configuration: Configuration
) -> list[tuple[Listener, socket.socket]]:
    """Each listener with its section; one that systemd has passed may have none."""
    sections = {section.name: section for section in configuration.listen}
    return [(sections.get(name) or Listener(name=name), listener) for name, listener in context.listeners]


def _make_gateway(application: Any, configuration: Configuration, loop: asyncio.AbstractEventLoop) -> Gateway:
    if detect_interface(application, configuration.app.interface) == ASGI:
        timeout = configuration.workers.request_timeout
        return AsgiGateway(application, loop, timeout, configuration.websocket)
    return WsgiGateway(application, loop, configuration.workers, configuration.http.body_memory)


def _report_failure(context: WorkerContext, channel: Channel, error: BootError) -> None:
    """Tell the supervisor, and put the application's own traceback, if it has one, into the log."""
    log.error("the application does not start: %s", error, exc_info=error.__cause__)
    channel.send(BootFailed(generation=context.generation, serial=context.serial, reason=str(error)))
