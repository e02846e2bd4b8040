"""Worker processes, with the test in the place of their supervisor."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from sdserve.core.wire.codec import MAX_PACKET, decode, encode
from sdserve.core.wire.messages import Ready, Serve
from tests.worker.serving import TIMEOUT, Client

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """The process, the supervisor's end of its channel, and the address it answers at.

    `workers` are further options of `[workers]`.
    """

    def __init__(
        self,
        application,
        *,
        loop="uvloop",
        files=0,
        preload=False,
        since_ns=0,
        look_every=60.0,
        boot_timeout=60.0,
        mailbox=None,
        **workers,
    ):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(TIMEOUT)
        self.channel = ours
        self._clients = []
        with theirs, socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            listener.setblocking(False)
            self.address = listener.getsockname()
            options = {
                "application": application,
                "files": files,
                "preload": preload,
                "since_ns": since_ns,
                "look_every": look_every,
                "fleet": {"boot_timeout": boot_timeout},
                "workers": {"loop": loop, **workers},
            }
            descriptors = [theirs.fileno(), listener.fileno()]
            if mailbox is not None:
                descriptors.append(mailbox.fileno())
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.worker.process", *map(str, descriptors), json.dumps(options)],
                cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "error"},
                pass_fds=descriptors,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def told(self):
        """The next message on the channel; who is ready is told to serve."""
        message = self.hears()
        if isinstance(message, Ready):
            self.tell(Serve(generation=message.generation, serial=message.serial))
        return message

    def hears(self):
        """The next message on the channel."""
        return decode(self.channel.recv(MAX_PACKET))

    def tell(self, message, *descriptors):
        socket.send_fds(self.channel, [encode(message)], [one.fileno() for one in descriptors])

    def connect(self):
        client = socket.create_connection(self.address, TIMEOUT)
        self._clients.append(Client(client))
        return self._clients[-1]

    def end(self):
        """Its exit status and what it wrote to standard error."""
        _, errors = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, errors

    def discard(self):
        for client in self._clients:
            client.close()
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
