"""Accounts as if some runs had been sent at other instants: for the reading that the statement does not go by.

Rules
-----
1. Nothing is written: a question about runs takes the moved ones along (`Selection.moved`), so every count is exact.
2. What the moved runs do not touch is the same in both readings, and is counted once for both. What they do touch has
   a key that holds all of their moves, so the two readings never take each other's counts.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from outrider.core.intervals import Interval
from outrider.core.units import Duration, Instant
from outrider_collector.store import Columns, Counts, Excluded, Moved, Seen, Selection
from outrider_collector.summaries import Summaries, Wanted

_POSITION_BITS = 64


class MovedStore:
    """A store in which some runs are elsewhere in time. It keeps nothing."""

    def __init__(self, store: Counts, moved: Sequence[Moved]) -> None:
        self._store, self._moved = store, tuple(moved)

    def _of(self, selection: Selection) -> Selection:
        return replace(selection, moved=self._moved)

    def position(self, as_of: Instant) -> int:
        return self._store.position(as_of)

    def seen(self, span: Interval, ledger: int) -> list[Seen]:
        return self._store.seen(span, ledger)

    def touched(self, span: Interval, ledger: int, width: Duration) -> Columns:
        return self._store.touched(span, ledger, width)

    def slice_counts(self, selection: Selection, length: Duration) -> Columns:
        return self._store.slice_counts(self._of(selection), length)

    def latency_counts(self, selection: Selection) -> Columns:
        return self._store.latency_counts(self._of(selection))

    def latencies(self, selection: Selection, bucket: int, outcomes: Sequence[int]) -> NDArray[np.int64]:
        return self._store.latencies(self._of(selection), bucket, outcomes)

    def straddlers(self, selection: Selection, edges: Sequence[Excluded]) -> Columns:
        return self._store.straddlers(self._of(selection), edges)

    def failures(self, selections: Sequence[Selection], most: int) -> list[Columns]:
        return self._store.failures([self._of(each) for each in selections], most)

    def near(self, selection: Selection, edges: Mapping[str, Sequence[Instant]]) -> Columns:
        return self._store.near(self._of(selection), edges)


class MovedSummaries(Summaries):
    """Summaries beside others, which they share what they have in common with."""

    def __init__(self, beside: Summaries, store: Counts, moved: Sequence[Moved]) -> None:
        super().__init__(store)
        self._share_with(beside)
        by_check: dict[str, list[Moved]] = {}
        for each in moved:
            by_check.setdefault(each.check, []).append(each)
        self._instants = {
            check: sorted(at for each in of for at in (each.at, each.to)) for check, of in by_check.items()
        }
        self._marks = {check: _mark(of) for check, of in by_check.items()}

    def _positions(self, wanted: Wanted, spans: Sequence[Interval]) -> dict[str, list[int]]:
        found = super()._positions(wanted, spans)
        for check in found.keys() & self._marks.keys():
            instants = self._instants[check]
            for number, span in enumerate(spans):
                if bisect_left(instants, span.start) < bisect_left(instants, span.end):
                    found[check][number] += self._marks[check]
        return found


def _instants(moved: Sequence[Moved]) -> list[Instant]:
    """All that the moves touch, in order."""
    return sorted({at for each in moved for at in (each.at, each.to)})


def _mark(moved: Sequence[Moved]) -> int:
    """A number for these moves that is not a position of any ledger, and is the same for no other moves."""
    said = sorted((each.agent, each.epoch, each.seq, each.at, each.to) for each in moved)
    return int.from_bytes(hashlib.sha256(repr(said).encode()).digest()) << _POSITION_BITS
