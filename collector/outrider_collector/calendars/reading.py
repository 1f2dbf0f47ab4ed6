"""A calendar of maintenance -> what it says about each window.

Rules
-----
1. An event is known by UID, and an occurrence of it by its start too (RECURRENCE-ID). Of two with the same name the one
   with the higher SEQUENCE stands.
2. Times: UTC, or the wall time of TZID, or of the calendar's zone where there is none. A wall time that does not exist
   or occurs twice is refused. VTIMEZONE is not read: zones are those of the pinned data.
3. DURATION: hours, minutes and seconds are exact, days and weeks nominal (RFC 5545, 3.3.6). A recurring event with
   DTEND lasts equally long, in exact time, each time (3.8.5.3).
4. STATUS:CANCELLED takes a window back; without RECURRENCE-ID, every occurrence of its UID (RFC 5546, 3.2.5). A
   TENTATIVE event announces nothing yet: it is as if it were not there.
   CATEGORIES with EMERGENCY among them marks emergency maintenance.
5. One mistake, and nothing of the calendar is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from icalendar import vDDDTypes
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from outrider.core.period import midnight
from outrider.core.units import SECOND, Instant, format_instant, from_datetime, to_datetime
from outrider.core.wall_time import days_after, instant_of, on_wall
from outrider.zones import read_zone
from outrider_collector.calendars.lines import CalendarError, Component, Property, read_components
from outrider_collector.recurrence import AHEAD, BACK, read_rule, starts
from outrider_collector.windows import LONGEST

MOST_RULES = 200
MOST_EVENTS = 5000
_UTC = ZoneInfo("UTC")
_STATUSES = ("TENTATIVE", "CONFIRMED", "CANCELLED")
_DAY_AT_LAST = re.compile(r"UNTIL=(\d{8})(?=;|$)", re.IGNORECASE)
_DURATION = re.compile(r"\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?")


@dataclass(frozen=True, slots=True)
class Said:
    """What a calendar says of one window. `recurrence` is the start that the rule gave it; empty without a rule. `line`
    is the event's; for a file of windows, the window's number."""

    uid: str
    recurrence: str
    sequence: int
    start: Instant
    end: Instant
    is_off: bool
    scope: tuple[str, ...]
    reason: str
    line: int = 0
    emergency: bool = False
    author: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A calendar. `is_whole`: what is not in it is gone; else it is a message about some events (RFC 5546).
    `taken_back` are the UIDs of events that are off as a whole, with the SEQUENCE that says so; of those in `named` all
    is said, and occurrences that are not in it are gone."""

    said: tuple[Said, ...]
    is_whole: bool
    taken_back: tuple[tuple[str, int], ...] = ()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Moment:
    """A time of the calendar: on a wall clock, and as the instant that it is."""

    wall: datetime
    zone: ZoneInfo
    instant: Instant
    is_day: bool


def read_calendar(text: str, zone: ZoneInfo | None, scope: tuple[str, ...], now: Instant) -> Reading:
    """Read a calendar; recurring events from BACK before `now` to AHEAD after it. `zone` is for times that name none,
    `scope` for events that name none. Raises CalendarError."""
    calendar, events = read_components(text)
    if zone is None and "X-WR-TIMEZONE" in calendar.one:
        zone = _zone(calendar.one["X-WR-TIMEZONE"], calendar.text("X-WR-TIMEZONE"))
    method = calendar.text("METHOD", "PUBLISH").upper()
    if sum("RRULE" in event.one for event in events) > MOST_RULES:
        raise CalendarError(1, f"a calendar has at most {MOST_RULES} recurring events")
    found: dict[tuple[str, str], Said] = {}
    masters = [event for event in events if "RECURRENCE-ID" not in event.one]
    overrides = [event for event in events if "RECURRENCE-ID" in event.one]
    given: dict[str, set[str]] = {}
    for kind in (masters, overrides):
        own: dict[tuple[str, str], Said] = {}
        for event in kind:
            read = _Event(event, zone, scope, method == "CANCEL")
            if read.status == "TENTATIVE":
                found.pop(read.name, None)
                continue
            for said in read.said(now, given):
                _add(own, said)
                if len(found) + len(own) > MOST_EVENTS:
                    raise CalendarError(event.line, f"a calendar makes at most {MOST_EVENTS} windows")
        found |= own
    taken_back = tuple(
        read.whole for event in masters if (read := _Event(event, zone, scope, method == "CANCEL")).is_off
    )
    return Reading(tuple(found.values()), method == "PUBLISH", taken_back)


def _add(found: dict[tuple[str, str], Said], said: Said) -> None:
    """Rule 1, among events of a kind; what an override says stands above what its rule gave, whatever the SEQUENCE."""
    key = (said.uid, said.recurrence)
    other = found.get(key)
    if other is not None and said.sequence < other.sequence:
        return
    if other is not None and other.sequence == said.sequence:
        raise CalendarError(said.line, f"UID: {said.uid[:80]!r} is there twice, first on line {other.line}")
    found[key] = said


class _Event:
    """One event while it is read."""

    def __init__(self, event: Component, zone: ZoneInfo | None, scope: tuple[str, ...], is_off: bool) -> None:
        self._event = event
        self._default_zone = zone
        self._scope = tuple(each.value.strip() for each in event.every("X-OUTRIDER-SCOPE")) or scope
        self._is_message_off = is_off
        self.is_off = is_off or self.status == "CANCELLED"

    @property
    def status(self) -> str:
        found = self._event.text("STATUS", "CONFIRMED").upper()
        if found not in _STATUSES:
            raise self._event.one["STATUS"].error(f"{found[:40]!r} is none of {', '.join(_STATUSES)}")
        return found

    @property
    def whole(self) -> tuple[str, int]:
        """UID and SEQUENCE."""
        return self.name[0], self._sequence()

    @property
    def name(self) -> tuple[str, str]:
        """UID and RECURRENCE-ID."""
        if "UID" not in self._event.one or not self._event.text("UID"):
            raise CalendarError(self._event.line, "the event has no UID")
        given = self._event.one.get("RECURRENCE-ID")
        if given is None:
            return self._event.text("UID"), ""
        if "RANGE" in given.parameters:
            raise given.error("RANGE is not read; change the rule, or each occurrence")
        return self._event.text("UID"), format_instant(self._moment(given, given.value).instant)

    def said(self, now: Instant, given: dict[str, set[str]]) -> Iterator[Said]:
        """What it says; one for each occurrence. `given` has the occurrences of each UID's rule."""
        uid, recurrence = self.name
        if "DTSTART" not in self._event.one:
            if self._is_message_off and not recurrence:
                return  # a message that takes all of an event back need not say when it was
            raise CalendarError(self._event.line, "the event has no DTSTART")
        at = self._event.one["DTSTART"]
        start = self._moment(at, at.value)
        said = Said(
            uid, recurrence, self._sequence(), start.instant, self._end(start), self.is_off, self._scope,
            self._event.text("SUMMARY"), self._event.line, self._is_emergency(),
        )  # fmt: skip
        self._check(said, at)
        if self._event.every("EXRULE"):
            raise self._event.every("EXRULE")[0].error("is not read; leave occurrences out with EXDATE")
        is_series = "RRULE" in self._event.one or bool(self._event.every("RDATE"))
        if recurrence or not is_series:
            if recurrence and "RRULE" in self._event.one:
                raise self._event.one["RRULE"].error("one occurrence has no rule of its own")
            self._check_occurrence(recurrence, given.get(uid), now)
            yield said
            return
        for occurrence in self._occurrences(start, now, given.setdefault(uid, set())):
            one = replace(
                said, recurrence=format_instant(occurrence.instant), start=occurrence.instant,
                end=self._end(occurrence, said.end - said.start),
            )  # fmt: skip
            self._check(one, at)
            yield one

    def _check(self, said: Said, at: Property) -> None:
        if said.end <= said.start:
            raise at.error("the event does not end after it starts")
        if said.start < 0 or said.end - said.start > LONGEST:
            raise at.error("a window starts after 1970 and is at most 400 days long")

    def _check_occurrence(self, recurrence: str, given: set[str] | None, now: Instant) -> None:
        """An override of a rule that is in the file has to be about one of its occurrences."""
        if not recurrence or given is None or recurrence in given:
            return
        own = self._event.one["RECURRENCE-ID"]
        instant = self._moment(own, own.value).instant
        if now - BACK <= instant <= now + AHEAD:
            raise own.error(f"{recurrence} is no occurrence of the rule")

    def _occurrences(self, first: _Moment, now: Instant, given: set[str]) -> Iterator[_Moment]:
        """Those of the rule and the dates added to it, without the dates taken out."""
        found = {first.instant: first} if "RRULE" not in self._event.one else {}
        rule = self._event.one.get("RRULE")
        if rule is not None:
            found |= {each.instant: each for each in self._ruled(rule, first, now)}
        for more in self._dates("RDATE", first):
            found[more.instant] = more
        given.update(map(format_instant, found))
        gone = {each.instant for each in self._dates("EXDATE", first)}
        for instant in sorted(found.keys() - gone):
            if now - BACK <= instant <= now + AHEAD:
                yield found[instant]

    def _ruled(self, rule: Property, first: _Moment, now: Instant) -> Iterator[_Moment]:
        text = rule.value
        try:
            if first.is_day:  # the last day of a rule for days is a day
                text = _DAY_AT_LAST.sub(lambda found: f"UNTIL={_last_start(found[1], first.zone)}", text)
            for instant in starts(read_rule(text), first.wall, first.zone, now, are_days=first.is_day):
                yield _Moment(on_wall(instant, first.zone), first.zone, instant, first.is_day)
        except (ValueError, OverflowError) as error:
            raise rule.error(str(error)) from None

    def _dates(self, name: str, first: _Moment) -> Iterator[_Moment]:
        for each in self._event.every(name):
            for value in each.value.split(","):
                found = self._moment(each, value)
                if found.is_day != first.is_day:
                    raise each.error("is a day where DTSTART is a time, or a time where it is a day")
                yield found

    def _is_emergency(self) -> bool:
        categories = ",".join(each.value for each in self._event.every("CATEGORIES"))
        return "EMERGENCY" in (each.strip().upper() for each in categories.split(","))

    def _sequence(self) -> int:
        text = self._event.text("SEQUENCE", "0")
        if not re.fullmatch(r"\d{1,9}", text):
            raise self._event.one["SEQUENCE"].error(f"{text[:40]!r} is not a whole number")
        return int(text)

    def _moment(self, given: Property, value: str) -> _Moment:
        value = value.strip()
        try:
            read = vDDDTypes.from_ical(value)  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError):
            read = None
        if not isinstance(read, date):
            raise given.error(f"{value[:40]!r} is not a time like 20261206T020000Z, nor a day like 20261206")
        is_day = not isinstance(read, datetime)
        if is_day and given.parameters.get("VALUE", "").upper() != "DATE" and given.name not in ("EXDATE", "RDATE"):
            raise given.error(f"{value[:40]!r} is a day; say so with VALUE=DATE")
        try:
            if isinstance(read, datetime) and read.tzinfo is not None:
                return _Moment(read.replace(tzinfo=None), _UTC, from_datetime(read), False)
            zone = self._zone_of(given)
            if isinstance(read, datetime):
                return _Moment(read, zone, instant_of(read, zone), False)
            return _Moment(datetime(read.year, read.month, read.day), zone, midnight(read, zone), True)  # noqa: DTZ001
        except CalendarError:
            raise
        except (ValueError, OverflowError) as error:
            raise given.error(str(error)) from None

    def _zone_of(self, given: Property) -> ZoneInfo:
        if "TZID" in given.parameters:
            return _zone(given, given.parameters["TZID"])
        start = self._event.one.get("DTSTART")
        if start is not None and "TZID" in start.parameters:
            return _zone(start, start.parameters["TZID"])
        if self._default_zone is None:
            raise given.error(f"{given.value[:40]!r} names no zone (TZID), and none was given for the calendar")
        return self._default_zone

    def _end(self, start: _Moment, exact: int | None = None) -> Instant:
        """Rule 3. `exact` is how long the first occurrence lasted."""
        end, duration = self._event.one.get("DTEND"), self._event.one.get("DURATION")
        if end is not None and duration is not None:
            raise duration.error("an event has DTEND or DURATION, not both")
        if duration is not None:
            return _after(start, duration)
        if end is None:
            if not start.is_day:
                raise CalendarError(self._event.line, "the event has no DTEND and no DURATION")
            return _days_after(start, 1, self._event.one["DTSTART"])
        last = self._moment(end, end.value)
        if last.is_day != start.is_day:
            raise end.error("is a day where DTSTART is a time, or a time where it is a day")
        if exact is None:
            return last.instant
        if not start.is_day:
            return start.instant + exact
        at = self._event.one["DTSTART"]
        return _days_after(start, (last.wall - self._moment(at, at.value).wall).days, at)


def _last_start(day: str, zone: ZoneInfo) -> str:
    """When a day begins, as UNTIL has it. Raises ValueError."""
    try:
        return to_datetime(midnight(datetime.strptime(day, "%Y%m%d").date(), zone)).strftime("%Y%m%dT%H%M%SZ")  # noqa: DTZ007
    except (ValueError, OverflowError):
        raise ValueError(f"UNTIL {day} is no day") from None


def _after(start: _Moment, duration: Property) -> Instant:
    found = _DURATION.fullmatch(duration.value.strip().upper())
    if found is None or not any(found.groups()) or duration.value.strip().upper().endswith("T"):
        raise duration.error(f"{duration.value[:40]!r} is not a duration like PT4H or P1D")
    weeks, days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    nominal = 7 * weeks + days
    exact = (3600 * hours + 60 * minutes + seconds) * SECOND
    return (_days_after(start, nominal, duration) if nominal else start.instant) + exact


def _days_after(start: _Moment, days: int, given: Property) -> Instant:
    try:
        wall = days_after(start.wall, days)
        return midnight(wall.date(), start.zone) if start.is_day else instant_of(wall, start.zone)
    except (ValueError, OverflowError) as error:
        raise given.error(f"the end: {error}") from None


def _zone(given: Property, name: str) -> ZoneInfo:
    """A zone by its IANA name, also behind a prefix ("/example.org/America/New_York"), or by its name in Windows."""
    parts = name.strip().split("/")
    for candidate in (name.strip(), WINDOWS_TO_OLSON.get(name.strip()), "/".join(parts[-3:]), "/".join(parts[-2:])):
        try:
            if candidate:
                return read_zone(candidate)
        except ValueError:
            continue
    raise given.error(f"{name[:80]!r} is not an IANA time zone")
