"""A worker process, as the zygote would have forked it.

    python -m tests.worker.process CHANNEL LISTENER JSON

The arguments are two inherited descriptors and {"application", "workers", "files", "preload"}.
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
from sdserve.host.importer import import_application
from sdserve.host.scoreboard import Scoreboard
from sdserve.host.worker_context import WorkerContext
from sdserve.worker.boot import worker_main


def main() -> int:
    channel, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    options = json.loads(sys.argv[3])
    configuration = Configuration(
        name="test",
        app=AppOptions(application=options["application"]),
        listen=(),
        fleet=FleetOptions(),
        workers=WorkerOptions(**options["workers"]),
        http=HttpOptions(),
        log=LogOptions(),
    )
    context = WorkerContext(
        generation=3,
        serial=14,
        slot=2,
        channel=channel,
        listeners=[("http", listener)],
        row=Scoreboard.create(1).row(0),
        application=import_application(options["application"]) if options["preload"] else None,
    )
    if options["files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["files"], options["files"]))
    with channel, listener:
        return worker_main(context, configuration)


if __name__ == "__main__":
    sys.exit(main())
