"""What changed between two statements, or two sets of terms, fact by fact: pure, and the same for any two.

Clauses, checks, windows, regions and outages are matched by what they are called (outages by their start), not by
their position, so that one more of them is one change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Plain = Mapping[str, Any]

NAMED_BY = {
    "guarantees": "id", "checks": "check", "views": "view", "windows": "window", "versions": "version",
    "coverage": "region", "excuses": "guarantee", "days": "day",
}  # fmt: skip
IDENTITY = frozenset({"as_of", "ledger", "revision", "replaces"})
"""Fields of a statement that differ between any two revisions."""
_PLACES = {"guarantees": "clause", "checks": "check", "windows": "window"}


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is another now; None where it was not there. `what` is its place: "adjusted.figure"."""

    what: str
    before: Any
    after: Any
    clause: str = ""
    check: str = ""
    window: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in ("clause", "check", "window") if getattr(self, name)}
        return {**named, "what": self.what, "before": self.before, "after": self.after}


def changes(before: Plain, after: Plain) -> list[Change]:
    """Every difference but the identity of a revision, in the order of the facts."""
    old, new = ({key: value for key, value in each.items() if key not in IDENTITY} for each in (before, after))
    return list(_between(old, new, Change("", None, None)))


def _between(before: Any, after: Any, at: Change) -> Iterator[Change]:
    match before, after:
        case dict(), dict() if not ("percent" in before and "percent" in after):
            for key in [*before, *(key for key in after if key not in before)]:
                yield from _field(key, before.get(key), after.get(key), at)
        case _ if before != after:
            yield replace(at, before=before, after=after)


def _field(key: str, before: Any, after: Any, at: Change) -> Iterator[Change]:
    what = f"{at.what}.{key}" if at.what else key
    name = _name_of(key, [*_listed(before), *_listed(after)])
    if name is None:
        yield from _between(before, after, replace(at, what=what))
        return
    old, new = ({each[name]: each for each in _listed(side)} for side in (before, after))
    for member in [*old, *(each for each in new if each not in old)]:
        within = replace(at, what=f"{what} {member}")
        if key in _PLACES:
            place: dict[str, Any] = {_PLACES[key]: str(member)}
            within = replace(at, what="" if member in old and member in new else key.removesuffix("s"), **place)
        yield from _between(old.get(member), new.get(member), within)


def _name_of(key: str, members: Sequence[Any]) -> str | None:
    """The field that tells the members of a list apart; None where they are no such list."""
    name = NAMED_BY.get(key, "start")
    return name if members and all(isinstance(each, dict) and name in each for each in members) else None


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
