"""Which certificate answers for which server name: RFC 6066 section 3, RFC 9525 section 6.3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByName(Generic[T]):
    """What there is for server names: the first one that has a name wins, an exact one over a wildcard."""

    def __init__(self, default: T, entries: Iterable[tuple[T, Iterable[str]]]) -> None:
        """Each entry comes with its names, of which a leftmost label may be `*`."""
        self.default = default
        self._by_name: dict[str, T] = {}
        for entry, names in entries:
            for name in names:
                self._by_name.setdefault(name, entry)

    def find(self, server_name: str | None) -> T:
        """Return the entry for the name that a client asks for, the default if it asks for none of ours."""
        if not server_name:
            return self.default
        name = server_name.lower().removesuffix(".")
        found = self._by_name.get(name)
        if found is None:
            _, _, parent = name.partition(".")
            found = self._by_name.get(f"*.{parent}")
        return self.default if found is None else found
