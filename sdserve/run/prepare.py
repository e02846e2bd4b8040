"""The preparer: a child that reads the configuration in the supervisor's place, and says what it comes to.

Files may be on a file system that hangs, and the supervisor waits for nobody. And it is started as the
supervisor was: if sdserve or its interpreter have been replaced since, this is what would take over, so it
tries out here whether it could.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing

from sdserve.config import codec
from sdserve.config.model import Configuration
from sdserve.core import wire
from sdserve.core.wire import Prepared, PrepareRefused
from sdserve.errors import EXIT_FAILURE, EXIT_OK, EXIT_SOFTWARE, SdserveError
from sdserve.host import channel, memfd, program, release
from sdserve.host.channel import Received
from sdserve.host.fds import Fd
from sdserve.run import supervise as _needed_after_an_exec
from sdserve.supervisor import certificates, state

__all__ = ["_needed_after_an_exec", "prepare"]


def prepare(descriptor: int, load: Callable[[], Configuration]) -> int:
    """Answer the `Prepare` on the channel `descriptor`; the exit code.

    `load` reads the configuration. WireError if the other side speaks another language.
    """
    with closing(channel.adopt(Fd(descriptor))) as supervisor:
        received = supervisor.receive()
        if received is None or not isinstance(received.message, wire.Prepare):
            return EXIT_SOFTWARE
        generation = received.message.generation
        try:
            answer, packed = _examine(received, load)
            supervisor.send(answer, [fd.fileno() for fd in packed])
        except ConnectionError:
            return EXIT_FAILURE  # nobody wants to know any more
        except (SdserveError, OSError) as error:
            supervisor.send(PrepareRefused(generation=generation, reason=str(error)))
            return EXIT_FAILURE
    return EXIT_OK


def _examine(received: Received, load: Callable[[], Configuration]) -> tuple[Prepared, list[Fd]]:
    with received.descriptors[0] as memory:
        saved = state.read(memfd.read(memory.fileno()))
    if received.message.generation == wire.CERTIFICATES_ALONE:
        serving = saved.prepared.get(saved.fleet.current)
        materials = certificates.read_valid(
            (serving.configuration if serving else saved.configuration).listen
        )
        return Prepared(generation=wire.CERTIFICATES_ALONE), certificates.pack(materials)
    configuration = load()
    found = release.resolve(configuration.app.directory, configuration.app.venv)
    materials = certificates.read(configuration.listen)
    prepared = Prepared(
        generation=received.message.generation,
        identity=program.identity(),
        description=program.description(),
        configuration=codec.encode(configuration),
        release=dataclasses.asdict(found),
    )
    return prepared, certificates.pack(materials)
