"""Replacing the program that supervises, under the same process id: execve(2).

The children stay our children, and what they say meanwhile waits in their channels. All descriptors that
are needed stay open and are named in a document, see `state`, whose own descriptor is in the environment.
Signals are blocked until the new program has its handlers: one that comes in between waits.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from contextlib import ExitStack

from sdserve.core.fleet import events
from sdserve.host import limits, memfd
from sdserve.host.fds import Fd
from sdserve.supervisor import certificates, state
from sdserve.supervisor.house import House

_log = logging.getLogger("sdserve")

VARIABLE = "SDSERVE_STATE"
"""In the environment of a program that goes on: the number of the descriptor with the document."""


def replace_program(house: House, generation: int) -> events.Event:
    """Execute the program that has prepared `generation` in place of this one. It returns if that fails."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    kept: list[int] = []
    try:
        with ExitStack() as owned:
            # Keys go along in memory that nobody else is given, and do not stand in the document.
            packed = {number: owned.enter_context(fd) for number, fd in certificates.hand_over(house).items()}
            numbers = {str(number): fd.fileno() for number, fd in packed.items()}
            said = {**state.describe(house), "certificates": numbers}
            document = owned.enter_context(memfd.sealed("sdserve-state", json.dumps(said).encode()))
            kept = [document.fileno(), *numbers.values(), *state.descriptors(house)]
            for descriptor in kept:
                os.set_inheritable(descriptor, True)
            _log.info("sdserve is replaced, the workers serve on")
            os.execve(
                house.program.command[0],
                house.program.command + house.program.arguments,
                {**os.environ, VARIABLE: str(document.fileno())},
            )
    except OSError as error:
        for descriptor in state.descriptors(house):
            os.set_inheritable(descriptor, False)
        place = f"{error.filename}: " if error.filename else ""
        return events.ProgramNotReplaced(generation, f"it cannot be started: {place}{limits.reason(error)}")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    raise AssertionError("execve returns only to say that it has failed")


def handed_over() -> Fd | None:
    """The document of the program that was replaced by this one; None if it was started by itself."""
    number = os.environ.pop(VARIABLE, "")
    return Fd(int(number)) if number.isascii() and number.isdigit() else None
