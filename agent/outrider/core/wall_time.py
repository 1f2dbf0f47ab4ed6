"""Times as people write them: with an offset, or on the wall clock of a zone.

Rules
-----
1. A time with an offset is an instant, whatever zone is named beside it.
2. A wall time is an instant only if the clocks of its zone showed it once. One that they skipped, or showed twice, is
   refused with both readings, each in a form that can be pasted back (rule 1).
3. Nothing is ever added or subtracted on the wall clock but whole days, which is what a nominal day means (RFC 5545).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from outrider.core.units import Instant, from_datetime, to_datetime


class WallTimeError(ValueError):
    """A wall time that is no instant, or two; the message names both readings."""


def read_time(text: str, zone: ZoneInfo | None) -> Instant:
    """Read "2026-06-01T22:00:00-04:00", or "2026-06-01T22:00" on the wall clock of `zone`. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write it like 2026-06-01T22:00:00Z") from None
    if moment.tzinfo is None and zone is None:
        raise ValueError(f"{text!r} names no offset; add Z or one like -05:00, or say the time zone")
    if moment.tzinfo is None and "T" not in text and " " not in text:
        raise ValueError(f"{text!r} is a day, not a time; write it like {text}T22:00")
    if moment.tzinfo is None and zone is not None:
        return instant_of(moment, zone)
    try:
        return from_datetime(moment)
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1 or after the year 9999 in UTC") from None


def instant_of(wall: datetime, zone: ZoneInfo) -> Instant:
    """The one instant at which the clocks of a zone show `wall` (naive). Raises WallTimeError, see rule 2."""
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    offset, other = first.utcoffset(), second.utcoffset()
    if offset is None or other is None:
        raise WallTimeError(f"{zone.key} has no offset at {wall.isoformat()}")
    if offset > other:
        raise WallTimeError(
            f"{wall.isoformat()} occurs twice in {zone.key}, as the clocks go back: "
            f"write {first.isoformat()} or {second.isoformat()}"
        )
    if offset < other:
        raise WallTimeError(
            f"{wall.isoformat()} does not exist in {zone.key}, as the clocks go forward: write {first.isoformat()}, "
            f"when they show {_shown(first, zone)}, or {second.isoformat()}, when they show {_shown(second, zone)}"
        )
    try:
        return from_datetime(first)
    except OverflowError:
        raise WallTimeError(f"{wall.isoformat()} is before the year 1 or after the year 9999 in UTC") from None


def _shown(reading: datetime, zone: ZoneInfo) -> str:
    return on_wall(from_datetime(reading), zone).time().isoformat()


def on_wall(instant: Instant, zone: ZoneInfo) -> datetime:
    """What the clocks of a zone show at an instant, as a naive datetime."""
    return to_datetime(instant).astimezone(zone).replace(tzinfo=None, fold=0)


def days_after(wall: datetime, days: int) -> datetime:
    """The same wall time so many days later: a nominal duration. Raises ValueError past the year 9999."""
    try:
        return wall + timedelta(days=days)
    except OverflowError:
        raise ValueError(f"{days} days after {wall.isoformat()} is after the year 9999") from None
