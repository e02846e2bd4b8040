"""An application that does not go on, in the way that the path names, or when it is told to."""

import os
import time
from typing import Any

if os.environ.get("BOOTS") == "no":
    time.sleep(600)


def app(environ: dict[str, str], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/busy":
        while True:
            pass
    if environ["PATH_INFO"] == "/blocked":
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"going on"]
