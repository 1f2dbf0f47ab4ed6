"""Units of time that are counted once and added up: days of a time zone, hours, and what is left at a span's edges.

Every edge of a day is on a quarter of an hour of UTC, whatever the zone, so slices and five-minute intervals fit into
each unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zoneinfo import ZoneInfo

from outrider.core.intervals import Interval
from outrider.core.period import Calendar, PeriodKind
from outrider.core.units import HOUR, Duration, Instant

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Margin:
    """How far around a unit its counts look; after it, never past `until`."""

    before: Duration = 0
    after: Duration = 0
    until: Instant = 0

    def around(self, unit: Interval) -> Interval:
        return Interval(unit.start - self.before, max(min(unit.end + self.after, self.until), unit.end))


ALONE = Margin()
"""A unit that depends on itself only."""


def days_within(span: Interval, zone: ZoneInfo) -> Iterator[Interval]:
    """The days of a zone, in order of time, the first and the last as far as the span goes."""
    for day in Calendar(PeriodKind.DAY, zone).overlapping(span):
        yield Interval(max(day.start, span.start), min(day.end, span.end))


def cut(span: Interval, zone: ZoneInfo) -> Iterator[Interval]:
    """A span in whole days of the zone, the rest of it in hours of UTC, and what is left as it is; in order of time."""
    for day in Calendar(PeriodKind.DAY, zone).overlapping(span):
        if span.start <= day.start and day.end <= span.end:
            yield day
            continue
        at, end = max(day.start, span.start), min(day.end, span.end)
        while at < end:
            until = min((at // HOUR + 1) * HOUR, end)
            yield Interval(at, until)
            at = until


def cut_from_midnight(span: Interval, width: Duration, zone: ZoneInfo) -> Iterator[Interval]:
    """A span in bins of a width that begin anew at each midnight of the zone; the last of a day may be shorter."""
    for day in Calendar(PeriodKind.DAY, zone).overlapping(span):
        for at in range(day.start, day.end, width):
            start, end = max(at, span.start), min(at + width, day.end, span.end)
            if start < end:
                yield Interval(start, end)


def flat(units: Iterable[Sequence[Interval]]) -> list[Interval]:
    """Units that were grouped, in one list."""
    return [unit for each in units for unit in each]


def folded(parts: Sequence[_T], units: Iterable[Sequence[Interval]]) -> list[list[_T]]:
    """What was found for flattened units, grouped as these were."""
    remaining = iter(parts)
    return [[next(remaining) for _ in each] for each in units]
