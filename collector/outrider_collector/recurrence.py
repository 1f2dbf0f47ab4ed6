"""Recurrence rules (RFC 5545, RRULE) -> the starts of windows, each an instant of its own.

Rules
-----
1. Starts are worked out on the wall clock of a zone and turned into instants one by one. One that the clocks skip or
   show twice is refused by name.
2. UNTIL is in UTC and compared between instants. COUNT counts before exceptions are taken out.
3. A window has one time of day: rules repeat daily or slower, without BYHOUR, BYMINUTE, BYSECOND. The first start is an
   occurrence of the rule; else the RFC leaves open what is meant.
4. Bounded: a year ahead, and at most MOST_OCCURRENCES. A rule that never happens ends too: the Gregorian calendar
   repeats after 400 years, so rules are worked out 7600 years later, where dateutil gives up after centuries and not
   after millennia.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from outrider.core.period import midnight
from outrider.core.units import DAY, Duration, Instant, format_instant, from_datetime
from outrider.core.wall_time import instant_of, on_wall

AHEAD: Duration = 366 * DAY
BACK: Duration = 400 * DAY
MOST_OCCURRENCES = 1000
LONGEST_RULE = 500
_ERA = 7600
_LAST_YEAR = 2390
_UNTIL = re.compile(r"\d{8}T\d{6}Z")
_PARTS = {
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS",
}  # fmt: skip
_SLOW = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_MONTHS, _DAYS, _WEEKS, _YEARDAYS = (
    "0?[1-9]|1[0-2]",
    "[+-]?(?:0?[1-9]|[12][0-9]|3[01])",
    "[+-]?(?:0?[1-9]|[1-4][0-9]|5[0-3])",
    "[+-]?(?:0{0,2}[1-9]|0?[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-6])",
)
_WEEKDAY = "MO|TU|WE|TH|FR|SA|SU"
_EACH = {
    "WKST": _WEEKDAY, "BYMONTH": _MONTHS, "BYMONTHDAY": _DAYS, "BYWEEKNO": _WEEKS, "BYYEARDAY": _YEARDAYS,
    "BYSETPOS": _YEARDAYS, "BYDAY": rf"(?:{_WEEKS})?(?:{_WEEKDAY})",
}  # fmt: skip
"""What each of the values in a part may be (3.3.10): dateutil takes more, and reads 0 as if nothing were there."""


class RecurrenceError(ValueError):
    """A rule that cannot be meant; the message says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read: the parts that dateutil works out, and the end in UTC. Made by `read_rule`."""

    text: str
    until: Instant | None


def read_rule(text: str) -> Rule:
    """Read "FREQ=WEEKLY;BYDAY=SU;COUNT=10". Raises RecurrenceError."""
    text = text.strip().removeprefix("RRULE:").upper()
    if len(text) > LONGEST_RULE:
        raise RecurrenceError(f"a rule has at most {LONGEST_RULE} characters")
    parts: dict[str, str] = {}
    for each in text.split(";"):
        name, found, value = each.partition("=")
        if not found or not value or name not in _PARTS:
            raise RecurrenceError(
                f"{each[:40]!r} is not a part of a rule for windows; write it like FREQ=WEEKLY;BYDAY=SU"
            )
        if name in parts:
            raise RecurrenceError(f"{name} is there twice")
        parts[name] = value
    if parts.get("FREQ") not in _SLOW:
        raise RecurrenceError(f"FREQ is one of {', '.join(_SLOW)}")
    for name in ("INTERVAL", "COUNT"):
        if name in parts and not re.fullmatch(r"[1-9]\d{0,5}", parts[name]):
            raise RecurrenceError(f"{name} is a whole number from 1 to 999999, not {parts[name][:40]!r}")
    _check_lists(parts)
    if "UNTIL" in parts and "COUNT" in parts:
        raise RecurrenceError("a rule has UNTIL or COUNT, not both")
    until = _until(parts.pop("UNTIL")) if "UNTIL" in parts else None
    return Rule(";".join(f"{name}={value}" for name, value in parts.items()), until)


def _check_lists(parts: dict[str, str]) -> None:
    for name, value in parts.items():
        if name in _EACH and (wrong := [each for each in value.split(",") if not re.fullmatch(_EACH[name], each)]):
            raise RecurrenceError(f"{name} cannot be {wrong[0][:40]!r}")
    if parts["FREQ"] in ("DAILY", "WEEKLY") and re.search(r"\d", parts.get("BYDAY", "")):
        raise RecurrenceError(f"BYDAY={parts['BYDAY'][:40]} counts weekdays, which a rule does MONTHLY or YEARLY")


def _until(text: str) -> Instant:
    if not _UNTIL.fullmatch(text):
        raise RecurrenceError(f"UNTIL is a time in UTC like 20261231T235959Z, not {text[:40]!r}")
    try:
        return from_datetime(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    except ValueError:
        raise RecurrenceError(f"UNTIL {text} is no time") from None


def starts(rule: Rule, first: datetime, zone: ZoneInfo, now: Instant, *, are_days: bool = False) -> Iterator[Instant]:
    """The instants at which it happens, from BACK before `now` to AHEAD after it, in order; `first` is a wall time of
    `zone`. A day starts with its first instant, also where its midnight does not exist. Raises RecurrenceError."""
    limit = now + AHEAD if rule.until is None else min(now + AHEAD, rule.until)
    given = 0
    for number, wall in enumerate(_walls(rule, first)):
        if number == 0 and wall != first:
            raise RecurrenceError(
                f"the first start, {first.isoformat()}, is no occurrence of the rule; that would be {wall.isoformat()}"
            )
        # A day is farther than any clock change moves a wall time, so what is far away need not exist.
        rough = from_datetime(wall.replace(tzinfo=UTC))
        if rough > limit + DAY:
            return
        if rough < now - BACK:
            continue
        try:
            start = midnight(wall.date(), zone) if are_days else instant_of(wall, zone)
        except ValueError as error:
            raise RecurrenceError(f"the occurrence of {wall.date()}: {error}") from None
        if start > limit:
            return
        given += 1
        if given > MOST_OCCURRENCES:
            raise RecurrenceError(f"a rule makes at most {MOST_OCCURRENCES} windows in the year ahead")
        yield start


def _walls(rule: Rule, first: datetime) -> Iterator[datetime]:
    if not 1970 <= first.year <= _LAST_YEAR:
        raise RecurrenceError(f"a rule starts from 1970 to {_LAST_YEAR}")
    found = False
    try:
        for late in rrulestr(rule.text, dtstart=first.replace(year=first.year + _ERA)):
            found = True
            yield late.replace(year=late.year - _ERA)
    except (ValueError, IndexError, TypeError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise RecurrenceError(f"the rule {rule.text!r} cannot be worked out: {error}") from None
    if not found:
        raise RecurrenceError(f"the rule {rule.text!r} never happens")


def occurrences(
    text: str, first: Instant, zone: ZoneInfo, now: Instant, exceptions: frozenset[Instant]
) -> list[Instant]:
    """The starts of a rule whose first one is `first`, without `exceptions`, each of which has to be one of them.
    Raises RecurrenceError."""
    found = list(starts(read_rule(text), on_wall(first, zone), zone, now))
    if strange := sorted(exceptions - set(found)):
        raise RecurrenceError(f"{format_instant(strange[0])} is no occurrence of the rule, so it cannot be left out")
    return [start for start in found if start not in exceptions]
