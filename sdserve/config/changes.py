"""What a reload cannot change, found by comparing two configurations."""

from __future__ import annotations

from collections.abc import Iterator

from sdserve.config.model import Configuration, Listener
from sdserve.config.options import LISTEN, OPTIONS


def needing_restart(before: Configuration, after: Configuration) -> list[str]:
    """The options of which `after` has another value than `before`, and which only a restart changes.

    Named as an operator writes them: `listen:http.backlog`; a listener that came or went as `listen:http`.
    """
    return list(_listeners(before, after))


def _listeners(before: Configuration, after: Configuration) -> Iterator[str]:
    """Listeners are opened once, so all options that need a restart are theirs."""
    old = {listener.name: listener for listener in before.listen}
    new = {listener.name: listener for listener in after.listen}
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            yield f"{LISTEN}:{name}"
            continue
        for option in OPTIONS:
            if not option.needs_restart or Listener not in option.owners:
                continue
            if getattr(old[name], option.field) != getattr(new[name], option.field):
                yield f"{LISTEN}:{name}.{option.name}"
