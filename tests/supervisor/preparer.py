"""A preparer that answers what a test wants, without reading any configuration.

    python -P preparer.py WHAT ANSWER --preflight DESCRIPTOR

ANSWER is a JSON object of the answer's fields; its generation is the one that was asked for. WHAT is

    good      answer Prepared             refuse    answer PrepareRefused
    chatty    the same, and complain      garbage   write what is no message
    other     answer something else       leave     exit without an answer
    die       raise an exception          deaf      hang up and live on
    hang      never answer
"""

from __future__ import annotations

import json
import os
import signal
import sys

from sdserve.core import wire
from sdserve.host import channel
from sdserve.host.fds import Fd


def main(what, answer, flag, number):
    assert flag == "--preflight"
    supervisor = channel.adopt(Fd(int(number)))
    received = supervisor.receive()
    assert isinstance(received.message, wire.Prepare)
    [document] = received.descriptors
    assert json.loads(os.pread(document.fileno(), 10_000_000, 0))["version"] == received.message.version
    said = {"generation": received.message.generation, **json.loads(answer)}
    match what:
        case "good":
            supervisor.send(wire.Prepared(**said))
        case "chatty":
            print("a file was slow", file=sys.stderr, flush=True)
            supervisor.send(wire.Prepared(**said))
        case "refuse":
            supervisor.send(wire.PrepareRefused(**said))
        case "other":
            supervisor.send(wire.Drain(generation=said["generation"]))
        case "garbage":
            supervisor.socket.send(b"garbage")
            signal.pause()
        case "die":
            raise ImportError("none of that name")
        case "deaf":
            supervisor.close()
            signal.pause()
        case "hang":
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
