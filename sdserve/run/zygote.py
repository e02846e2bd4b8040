"""The zygote's program: `python -P -m sdserve.run.zygote DESCRIPTOR`, started by the supervisor only."""

from __future__ import annotations

import os
import sys
from typing import Any

from sdserve.errors import EXIT_OK, EXIT_USAGE, SdserveError
from sdserve.host import channel
from sdserve.host.fds import Fd
from sdserve.zygote.opening import Code, WorkerMain
from sdserve.zygote.serving import serve


def main() -> int:
    """Run until the supervisor closes its end; the exit code."""
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.stderr.write("this program is started by sdserve itself; see `sdserve run --help`\n")
        return EXIT_USAGE
    descriptor = int(sys.argv.pop())  # not an argument of the application's
    try:
        return serve(
            channel.adopt(Fd(descriptor)), Code(load_worker=_load_worker, import_application=_import)
        )
    except SdserveError as error:
        sys.stderr.write(f"sdserve: {error}\n")
        return error.exit_code
    except (BrokenPipeError, ConnectionResetError):
        return EXIT_OK  # the supervisor died while it was being answered


def _load_worker() -> WorkerMain:
    # Not before the import path is right: a virtual environment may bring its own h11 or uvloop.
    from sdserve.worker.boot import worker_main

    return worker_main


def _import(specification: str) -> Any:
    from sdserve.host.importer import import_application

    return import_application(specification)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # What an application registered with atexit when it was preloaded is for its workers to run.
    os._exit(status)
