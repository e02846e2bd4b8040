"""A zygote whose workers do what a test wants; everything but the application is real.

    python -P stand_in.py DESCRIPTOR

The `application` of the configuration says what a worker does:

    serve        answer each connection with a JSON object about itself, until told to drain
    exit:N       exit with N at once           fail       report a failure to boot
    raise        let an exception escape       garbage    write nonsense to the supervisor
    deaf         be ready and ignore everything but SIGKILL
    silent       never become ready
With `preload` it is the source of a module instead, which is executed in the zygote.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import sys

from sdserve.core import wire
from sdserve.errors import EXIT_BOOT, BootError
from sdserve.host import channel
from sdserve.host.channel import Channel
from sdserve.host.fds import Fd
from sdserve.host.scoreboard import READY, STATE
from sdserve.zygote.opening import Code
from sdserve.zygote.serving import serve


def worker_main(context, configuration):
    supervisor = Channel(context.channel)
    identity = {"generation": context.generation, "serial": context.serial}
    context.row.begin(slot=context.slot, **identity)
    what, _, argument = ("serve" if configuration.app.preload else configuration.app.application).partition(
        ":"
    )
    match what:
        case "exit":
            return int(argument)
        case "raise":
            raise RuntimeError("nobody catches me")
        case "fail":
            supervisor.send(wire.BootFailed(**identity, reason="no such module"))
            return EXIT_BOOT
        case "garbage":
            supervisor.socket.send(b"garbage")
            signal.pause()
        case "silent":
            while True:
                signal.pause()
        case "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            supervisor.send(wire.Ready(**identity, interface="wsgi"))
            while True:
                signal.pause()
    return Serving(context, supervisor, identity).run()


class Serving:
    def __init__(self, context, supervisor, identity):
        self.context, self.supervisor, self.identity = context, supervisor, identity
        self.told, self.teller = socket.socketpair()

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.teller.send(b"x"))
        self.context.row.words[STATE] = READY
        self.supervisor.send(wire.Ready(**self.identity, interface="wsgi"))
        listeners = [listener for _, listener in self.context.listeners]
        while True:
            readable, _, _ = select.select([self.supervisor, self.told, *listeners], [], [])
            if self.told in readable:
                self.supervisor.send(wire.RecycleAsked(**self.identity, reason="SIGTERM"))
                return 0
            if self.supervisor in readable:
                received = self.supervisor.receive()
                if received is None or isinstance(received.message, wire.Drain):
                    return 0
            for listener in listeners:
                self.answer(listener)

    def answer(self, listener):
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        with connection:
            connection.sendall(json.dumps(self.about()).encode())

    def about(self):
        return {
            **self.identity,
            "slot": self.context.slot,
            "since_ns": self.context.since_ns,
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "cwd": os.getcwd(),
            "path": sys.path,
            "argv": sys.argv,
            "environment": dict(os.environ),
            "application": self.context.application,
            "blocked": [int(signum) for signum in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
            "descriptors": {
                number: os.readlink(f"/proc/self/fd/{number}")
                for number in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{number}")
            },
        }


def load_worker():
    return worker_main


def import_application(source):
    namespace = {}
    try:
        exec(source, namespace)
    except Exception as error:
        raise BootError(f"the application cannot be imported: {error}") from error
    return namespace["application"]


if __name__ == "__main__":
    logging.captureWarnings(True)
    number = int(sys.argv.pop())
    os._exit(
        serve(channel.adopt(Fd(number)), Code(load_worker=load_worker, import_application=import_application))
    )
