"""Connections that wait for a generation which is dropped: they are passed on to another one."""

from __future__ import annotations

import logging
from time import monotonic

from sdserve.core.fleet.model import Phase
from sdserve.host.mailbox import Forwarding
from sdserve.supervisor.house import Forwarded, House

_log = logging.getLogger("sdserve")

RETRY = 0.05
"""Seconds until a mailbox that was full is tried again."""
PATIENCE = 10.0
"""Seconds that connections are kept for which the heirs have no room."""


def drop(house: House, generation: int, heir: int) -> None:
    """Nobody of `generation` reads its mailbox any more: what waits in it is for `heir`; 0: for nobody."""
    for one in house.forwarded:
        if one.heir == generation:
            one.heir = heir
    mailbox = house.mailboxes.pop(generation, None)
    if mailbox is None:
        return
    until = monotonic() + PATIENCE
    one = Forwarded(generation=generation, heir=heir, until=until, forwarding=Forwarding(mailbox))
    house.forwarded.append(one)
    pass_on(house)


def pass_on(house: House) -> None:
    """Go on with what had no room before."""
    now = monotonic()
    for one in list(house.forwarded):
        heirs = house.mailboxes.get(one.heir)
        if not one.heir and house.fleet.phase is Phase.STOPPING and house.keeper is not None:
            heirs = house.keeper.mailbox()  # where all others that are idle go as well
        is_done = heirs is not None and one.forwarding.go_on(heirs)
        if is_done or heirs is None or now >= one.until:
            _end(house, one, is_done=is_done)
    if house.forwarded:
        house.retry_by(now + RETRY)


def _end(house: House, one: Forwarded, *, is_done: bool) -> None:
    house.forwarded.remove(one)
    one.forwarding.close()
    if one.forwarding.count and one.generation:  # it is known already how many were kept over a restart
        _log.info("%d connections for generation %d were passed on", one.forwarding.count, one.generation)
    if one.heir and not is_done:
        _log.warning(
            "connections for generation %d are closed: generation %d had no room for them",
            one.generation,
            one.heir,
        )
