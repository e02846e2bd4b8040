"""A worker process, as the zygote would have forked it.

    python -m tests.worker.process CHANNEL LISTENER [MAILBOX] JSON

The arguments are inherited descriptors and
{"application", "fleet", "workers", "files", "preload", "since_ns", "look_every"}.
"""

from __future__ import annotations

import json
import resource
import socket
import sys

from sdserve.config.model import Configuration, LogOptions
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.websocket.options import WebSocketOptions
from sdserve.host.importer import import_application
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.worker_context import WorkerContext
from sdserve.worker import code_watch
from sdserve.worker.boot import worker_main


def main() -> int:
    channel, listener, *mailbox = (socket.socket(fileno=int(number)) for number in sys.argv[1:-1])
    options = json.loads(sys.argv[-1])
    configuration = Configuration(
        name="test",
        app=AppOptions(application=options["application"]),
        listen=(),
        fleet=FleetOptions(**options["fleet"]),
        workers=WorkerOptions(**options["workers"]),
        http=HttpOptions(),
        websocket=WebSocketOptions(),
        log=LogOptions(),
    )
    context = WorkerContext(
        generation=3,
        serial=14,
        slot=2,
        since_ns=options["since_ns"],
        channel=channel,
        listeners=[("http", listener)],
        mailbox=mailbox[0] if mailbox else None,
        row=Scoreboard.create(1).row(0),
        application=import_application(options["application"]) if options["preload"] else None,
    )
    code_watch.PERIOD = options["look_every"]
    if options["files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["files"], options["files"]))
    with channel, listener:
        return worker_main(context, configuration)


if __name__ == "__main__":
    sys.exit(main())
