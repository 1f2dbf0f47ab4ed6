"""Periods of an agreement: calendar months and weeks in the agreement's own time zone, as UTC instants.

A month in New York has 743 hours in March and 721 in November. The bounds are taken as wall-clock midnights and
turned to UTC one by one; nothing is ever subtracted on the wall clock. A rolling period has no calendar: it is the
last so many days of 24 hours, and ends with whatever asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from outrider.core.intervals import Interval
from outrider.core.units import Instant, from_datetime, to_datetime

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


class PeriodKind(StrEnum):
    MONTH = "month"
    WEEK = "week"
    DAY = "day"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Periods of one kind in one zone. Weeks run Sunday to Saturday, as in the CAQH CORE rules. What rolls is asked for
    day by day."""

    kind: PeriodKind
    zone: ZoneInfo

    def containing(self, instant: Instant) -> Interval:
        """The period that the instant belongs to."""
        return self._from(self._first_day(to_datetime(instant).astimezone(self.zone).date()))

    def overlapping(self, span: Interval) -> Iterator[Interval]:
        """Every period that shares an instant with the span, in order of time."""
        current = self.containing(span.start)
        while current.start < span.end:
            yield current
            current = self.containing(current.end)

    def label(self, period: Interval) -> str:
        """What `parse_period` reads as this period: "2026-06", "2026-W23", "2026-06-01"."""
        first = to_datetime(period.start).astimezone(self.zone).date()
        if self.kind is PeriodKind.MONTH:
            return f"{first:%Y-%m}"
        if self.kind is PeriodKind.WEEK:
            year, week, _ = (first + timedelta(days=1)).isocalendar()
            return f"{year:04}-W{week:02}"
        return f"{first:%Y-%m-%d}"

    def _first_day(self, day: date) -> date:
        if self.kind is PeriodKind.MONTH:
            return day.replace(day=1)
        if self.kind is PeriodKind.WEEK:
            return day - timedelta(days=day.isoweekday() % 7)
        return day

    def _from(self, first: date) -> Interval:
        if self.kind is PeriodKind.MONTH:
            following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            following = first + timedelta(days=7 if self.kind is PeriodKind.WEEK else 1)
        return Interval(midnight(first, self.zone), midnight(following, self.zone))


def midnight(day: date, zone: ZoneInfo) -> Instant:
    """The first instant of a day in a zone; where midnight does not exist, the instant the clocks jump to."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))


def parse_period(text: str, zone: ZoneInfo) -> Interval:
    """Read "2026-06" (month), "2026-W23" (ISO week number, Sunday before it to Saturday) or "2026-06-01" (day).

    Raises ValueError with what would have been right.
    """
    try:
        if found := _MONTH.fullmatch(text):
            return Calendar(PeriodKind.MONTH, zone)._from(date(int(found[1]), int(found[2]), 1))
        if found := _WEEK.fullmatch(text):
            monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
            return Calendar(PeriodKind.WEEK, zone)._from(monday - timedelta(days=1))
        if found := _DAY.fullmatch(text):
            return Calendar(PeriodKind.DAY, zone)._from(date(int(found[1]), int(found[2]), int(found[3])))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a period: {error}") from None
    raise ValueError(
        f"{text!r} is not a period; write a month like 2026-06, a week like 2026-W23, a day like 2026-06-01"
    )
