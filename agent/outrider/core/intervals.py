"""Sets of instants as sorted, disjoint, half-open intervals [start, end).

Half-open intervals need no special case where two of them touch: adjacent ones merge, and an instant belongs to
exactly one side of an edge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outrider.core.units import Duration, Instant


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The instants t with start <= t < end. Never empty: raises ValueError unless start < end."""

    start: Instant
    end: Instant

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"an interval must end after it starts: [{self.start}, {self.end})")

    @property
    def length(self) -> Duration:
        return self.end - self.start

    def __contains__(self, instant: Instant) -> bool:
        return self.start <= instant < self.end


class Intervals:
    """An immutable set of instants; overlapping and adjacent intervals are merged on construction (R7)."""

    __slots__ = ("_ends", "_starts", "members")

    def __init__(self, members: Iterable[Interval] = ()) -> None:
        merged: list[Interval] = []
        for interval in sorted(members):
            if merged and interval.start <= merged[-1].end:
                merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
            else:
                merged.append(interval)
        self.members: tuple[Interval, ...] = tuple(merged)
        self._starts = [interval.start for interval in merged]
        self._ends = [interval.end for interval in merged]

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __bool__(self) -> bool:
        return bool(self.members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervals) and self.members == other.members

    def __hash__(self) -> int:
        return hash(self.members)

    def __repr__(self) -> str:
        return f"Intervals({list(self.members)!r})"

    def __contains__(self, instant: Instant) -> bool:
        position = bisect_right(self._starts, instant) - 1
        return position >= 0 and instant < self._ends[position]

    def __or__(self, other: Intervals) -> Intervals:
        return Intervals((*self.members, *other.members))

    def __and__(self, other: Intervals) -> Intervals:
        met = []
        for mine in self.members:
            for theirs in other.members:
                if theirs.start >= mine.end:
                    break
                start, end = max(mine.start, theirs.start), min(mine.end, theirs.end)
                if start < end:
                    met.append(Interval(start, end))
        return Intervals(met)

    def __sub__(self, other: Intervals) -> Intervals:
        left = []
        for mine in self.members:
            at = mine.start
            for theirs in other.members:
                if theirs.start >= mine.end:
                    break
                if theirs.start > at:
                    left.append(Interval(at, theirs.start))
                at = max(at, theirs.end)
            if at < mine.end:
                left.append(Interval(at, mine.end))
        return Intervals(left)

    def covers(self, interval: Interval) -> bool:
        """Whether every instant of the interval is in the set."""
        position = bisect_right(self._starts, interval.start) - 1
        return position >= 0 and interval.end <= self._ends[position]

    def within(self, bounds: Interval) -> Intervals:
        """The part of the set inside the bounds."""
        return self & Intervals((bounds,))

    def first(self, budget: Duration) -> Intervals:
        """The earliest instants of the set that add up to `budget` microseconds, in order of time."""
        kept = []
        for interval in self.members:
            if budget <= 0:
                break
            kept.append(Interval(interval.start, min(interval.end, interval.start + budget)))
            budget -= interval.length
        return Intervals(kept)

    @property
    def length(self) -> Duration:
        return sum(interval.length for interval in self.members)


NOTHING = Intervals()
"""The empty set."""
