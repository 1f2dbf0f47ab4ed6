"""Which records of an agent's sequence are here, as ranges: the marks and gaps that a batch is answered with."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable

from outrider_collector.store import Store

_LARGEST = 2**62


class Extents:
    """Which seqs of one agent and epoch are stored, as ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = list(ranges)

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self._ranges, (seq, _LARGEST)) - 1
        return at >= 0 and self._ranges[at][1] >= seq

    def add(self, seq: int) -> None:
        at = bisect_right(self._ranges, (seq, _LARGEST)) - 1
        if at >= 0 and self._ranges[at][1] + 1 == seq:
            self._ranges[at] = (self._ranges[at][0], seq)
            if at + 1 < len(self._ranges) and self._ranges[at + 1][0] == seq + 1:
                self._ranges[at : at + 2] = [(self._ranges[at][0], self._ranges[at + 1][1])]
        elif at + 1 < len(self._ranges) and self._ranges[at + 1][0] == seq + 1:
            self._ranges[at + 1] = (seq, self._ranges[at + 1][1])
        else:
            insort(self._ranges, (seq, seq))

    @property
    def high_water(self) -> int:
        return self._ranges[-1][1] if self._ranges else 0

    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The ranges below the high-water mark that never came."""
        edges = [0, *(edge for pair in self._ranges for edge in pair)]
        pairs = zip(edges[0::2], edges[1::2], strict=False)
        return tuple((last + 1, first - 1) for last, first in pairs if first > last + 1)


def extents_of(store: Store) -> defaultdict[tuple[str, str], Extents]:
    """Of all agents and epochs that a store has; one that it does not have begins with nothing."""
    return defaultdict(Extents, {key: Extents(ranges) for key, ranges in store.extents().items()})
