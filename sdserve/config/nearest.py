"""What somebody who mistyped a name probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def suggestion(word: str, valid: Iterable[str], *, listing: str = "") -> str:
    """Return `, did you mean NAME?` or, if there is none near, `; LISTING: all the names`.

    Without a `listing` and a near name: nothing.
    """
    import difflib  # only somebody with a mistake pays for it

    names = list(valid)
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), lowered, n=1)
    if near:
        return f", did you mean {lowered[near[0]]}?"
    return f"; {listing}: {', '.join(names)}" if listing and names else ""
