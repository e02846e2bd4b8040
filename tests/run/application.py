"""What the tests of whole servers serve: an application that tells about its process, or takes its time."""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import parse_qs


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    path = environ["PATH_INFO"]
    if path == "/wait":
        # Until the test opens the other end of the FIFO and closes it again.
        with open(parse_qs(environ["QUERY_STRING"])["fifo"][0]) as fifo:
            fifo.read()
    return [json.dumps(about(environ)).encode()]


def about(environ):
    return {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "slot": os.environ["SDSERVE_SLOT"],
        "cwd": os.getcwd(),
        "standard": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "python": list(sys.version_info[:2]),
        "path": sys.path,
        "told": sorted(name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))),
        "modules": sorted(name for name in ("uvloop", "h11", "systemd") if name in sys.modules),
        "multiprocess": environ["wsgi.multiprocess"],
    }
