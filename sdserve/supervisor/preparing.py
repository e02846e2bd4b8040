"""Preparing generations by a child, which may wait for files as the supervisor may not.

The child is `sdserve.run.prepare`: started as the supervisor was, it is the program that is installed now.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from time import monotonic

from sdserve import __version__
from sdserve.config import codec
from sdserve.config.changes import needing_restart
from sdserve.core import catalog, wire
from sdserve.core.fleet import events
from sdserve.core.fleet.causes import ending
from sdserve.core.tls.material import Material
from sdserve.core.tls.material import decode as decode_materials
from sdserve.core.wire import PrepareRefused
from sdserve.errors import WireError
from sdserve.host import limits, logs, memfd, process
from sdserve.supervisor import certificates, spawn, state, status
from sdserve.supervisor.house import House, Preparation, Prepared

_log = logging.getLogger("sdserve")

FLAG = "--preflight"
"""The option of `sdserve run` that makes it the preparer; the number of its channel's descriptor follows."""
CHECK = 0
"""In place of a generation's number, for one that is never made."""

_PATIENCE = 60.0
"""Seconds that a child has to look at files for somebody, if another one asks."""
_SHOWN = 4000
"""Bytes of what the child wrote before it failed, from the end."""

Events = Iterator[events.Event]


def prepare(house: House, generation: int, *, upgrade: bool) -> list[events.Event]:
    """Begin to prepare a generation; what went wrong. `hear` and `bury` tell what comes of it."""
    try:
        house.admit_preparation(_start(house, generation, upgrade=upgrade))
    except OSError as error:
        return [events.GenerationRefused(generation, _not_started(error))]
    return []


def check(house: House, token: int) -> None:
    """Find out what a reload would change, for whoever waits with `token`."""
    _look(house, CHECK, token)


def renew(house: House, token: int) -> None:
    """Read the files of certificates again and use what is in them; whoever waits with `token` is told."""
    _look(house, wire.CERTIFICATES_ALONE, token)


def _look(house: House, what: int, token: int) -> None:
    if underway := house.preparations.get(what):
        underway.tokens.append(token)
        if monotonic() - underway.since > _PATIENCE:
            process.kill_child(underway.pid)  # its end is everybody's answer
        return
    try:
        preparation = _start(house, what, upgrade=False)
    except OSError as error:
        _fail(house, what, [token], _not_started(error))
        return
    preparation.tokens.append(token)
    house.admit_preparation(preparation)


def drop(house: House, generation: int) -> None:
    """Nobody wants to know any more."""
    preparation = house.preparations.get(generation)
    if preparation is not None and not preparation.is_dropped:
        preparation.is_dropped = True
        process.kill_child(preparation.pid)


def _start(house: House, generation: int, *, upgrade: bool) -> Preparation:
    document = json.dumps(state.describe(house)).encode()
    with memfd.sealed("sdserve-state", document) as memory:
        errors = memfd.create("sdserve-preflight", 0)
        try:
            pid, channel = spawn.start(
                [*house.program.command, *house.program.arguments, FLAG],
                env=spawn.inherited(os.environ),
                stderr=errors.fileno(),
            )
        except BaseException:
            errors.close()
            raise
        preparation = Preparation(
            generation=generation, pid=pid, channel=channel, errors=errors, upgrade=upgrade
        )
        try:
            channel.send(wire.Prepare(generation=generation, version=__version__), [memory.fileno()])
        except OSError:
            os.kill(pid, signal.SIGKILL)  # its end tells the rest
    return preparation


def _not_started(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"sdserve cannot be started to read the configuration: {place}{limits.reason(error)}"


def take(house: House, preparation: Preparation, message: wire.Message) -> Events:
    """What the child has found."""
    if preparation.is_dropped or preparation.is_answered:
        return
    preparation.is_answered = True
    number = preparation.generation
    tokens, preparation.tokens = preparation.tokens, []
    try:
        if number == wire.CERTIFICATES_ALONE:
            _answer(house, tokens, ok=True, text=certificates.use(house, _renewed(preparation, message)))
            return
        found, program = _understand(preparation, message)
    except WireError as error:
        if number > CHECK:
            yield events.GenerationRefused(number, str(error))
        else:
            _fail(
                house,
                number,
                tokens,
                f"a reload would be refused:\n{error}" if number == CHECK else str(error),
            )
        return
    if number == CHECK:
        _tell(house, tokens, list(status.hints(house, found, program)))
        return
    house.prepared[number] = found
    certificates.warn(found.materials)
    yield _prepared(house, preparation, found, program)


def _renewed(preparation: Preparation, message: wire.Message) -> dict[str, Material]:
    """The certificates that were read. WireError with the reason if none were."""
    if isinstance(message, PrepareRefused):
        raise WireError(message.reason)
    if not (materials := _materials(preparation)):
        raise WireError(
            f"sdserve as it is installed now answers {type(message).__name__} without certificates"
        )
    return materials


def _understand(preparation: Preparation, message: wire.Message) -> tuple[Prepared, wire.Prepared]:
    """What was found. WireError with the reason if nothing was, by the child's word or by its nonsense."""
    if isinstance(message, PrepareRefused):
        raise WireError(message.reason)
    if not isinstance(message, wire.Prepared):
        raise WireError(f"sdserve as it is installed now answers {type(message).__name__}")
    try:
        found = Prepared(
            configuration=codec.decode(message.configuration),
            release=state.read_release(message.release),
            since=preparation.since,
            since_ns=preparation.since_ns,
            materials=_materials(preparation),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WireError(f"sdserve as it is installed now answers what makes no sense: {error!r}") from None
    return found, message


def _materials(preparation: Preparation) -> dict[str, Material]:
    """The certificates that came with the answer. WireError if they make no sense."""
    if not preparation.descriptors:
        return {}
    memory = preparation.descriptors.pop()
    with memory:
        return decode_materials(memfd.read(memory.fileno()))


def _prepared(
    house: House, preparation: Preparation, prepared: Prepared, program: wire.Prepared
) -> events.Event:
    number = preparation.generation
    remarks = []
    if options := needing_restart(house.configuration, prepared.configuration):
        remarks.append(f"a restart is needed for what has changed of {', '.join(options)}")
        _log.warning("generation %d: %s", number, remarks[-1])
    has_changed = program.identity != house.program.identity
    if has_changed or preparation.upgrade:
        remarks.append(f"{house.program.description} was replaced by {program.description}")
    if has_changed and not preparation.upgrade:
        _log.info("sdserve itself has changed, so it is upgraded: %s is there now", program.description)
    return events.GenerationPrepared(
        number,
        options=prepared.configuration.fleet,
        remark="\n".join(remarks),
        replace_program=has_changed or preparation.upgrade,
    )


def bury(house: House, preparation: Preparation, status: int) -> Events:
    """The child is gone; one that has not answered has failed."""
    said = memfd.read(preparation.errors.fileno())[-_SHOWN:].decode("utf-8", "replace").strip()
    house.forget_preparation(preparation)
    for descriptor in preparation.descriptors:
        descriptor.close()
    if said and not preparation.is_dropped:
        _log.warning("%s wrote:\n%s", preparation, said)
    if preparation.is_dropped or preparation.is_answered:
        for token in preparation.tokens:  # they asked when it had answered already
            _look(house, preparation.generation, token)
        return
    how = ending(status)
    last_line = f": {said.splitlines()[-1]}" if said else ""
    reason = f"sdserve as it is installed now cannot take over ({how}){last_line}"
    if preparation.generation <= CHECK:
        _fail(house, preparation.generation, preparation.tokens, reason)
    else:
        yield events.GenerationRefused(preparation.generation, reason)


def _fail(house: House, what: int, tokens: list[int], reason: str) -> None:
    """Nothing was found, for those who wanted to know `what`."""
    if what == CHECK:
        _tell(house, tokens, [reason])
        return
    explained = {logs.MESSAGE_ID: catalog.CERTIFICATES_REFUSED}
    _log.error("new certificates are not used: %s", reason, extra=explained)
    _answer(house, tokens, ok=False, text=reason)


def _answer(house: House, tokens: list[int], *, ok: bool, text: str) -> None:
    if house.control is not None:
        for token in tokens:
            house.control.reply(token, ok=ok, text=text)


def _tell(house: House, tokens: list[int], hints: list[str]) -> None:
    if house.control is not None:
        for token in tokens:
            house.control.tell_hints(token, hints)
