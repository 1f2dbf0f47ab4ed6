"""The gateway's book: entries by id and by reference, a bounded number of them.

The oldest entry that is not open is dropped first: what still holds money is the last to be forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Entry(Protocol):
    """What a book holds: a value that is entered again whenever it changes."""

    @property
    def id(self) -> str: ...

    @property
    def is_open(self) -> bool:
        """Whether money waits for an end."""

    @property
    def references(self) -> tuple[str, ...]:
        """Every reference that was used with it, each once."""


E = TypeVar("E", bound=Entry)


class Book(Generic[E]):
    """Entries in the order in which they were made."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._entries: OrderedDict[str, E] = OrderedDict()
        self._open: dict[str, None] = {}
        self._by_reference: dict[str, dict[str, None]] = {}

    def enter(self, entry: E) -> E:
        """Enter something new, or what has become of it."""
        self._entries[entry.id] = entry
        if entry.is_open:
            self._open[entry.id] = None
        else:
            self._open.pop(entry.id, None)
        for reference in entry.references:
            self._by_reference.setdefault(reference, {})[entry.id] = None
        while len(self._entries) > self._keep:
            self._drop_oldest()
        return entry

    def get(self, identifier: str) -> E | None:
        return self._entries.get(identifier)

    def find(self, *, reference: str | None, open_only: bool) -> Iterator[E]:
        """The entries that meet both conditions, oldest first."""
        found: Iterable[str] = self._entries if reference is None else self._by_reference.get(reference, {})
        if open_only:
            found = self._open if reference is None else (name for name in found if name in self._open)
        return (self._entries[name] for name in found)

    def _drop_oldest(self) -> None:
        oldest = next((name for name in self._entries if name not in self._open), next(iter(self._entries)))
        entry = self._entries.pop(oldest)
        self._open.pop(oldest, None)
        for reference in entry.references:
            self._by_reference[reference].pop(oldest)
            if not self._by_reference[reference]:
                del self._by_reference[reference]
