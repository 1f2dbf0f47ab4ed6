"""iCalendar text (RFC 5545) -> events as lists of properties, each with the line of the file it began on.

icalendar reads each content line (names, parameters, quotes, escapes). Unfolding and nesting are done here, since a
mistake has to name its line. Properties that no window needs are passed over unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from icalendar.parser import Contentline

LARGEST_CALENDAR = 4 << 20
MOST_LINES = 200_000
_LONGEST_PROPERTY = 10_000
_DEEPEST = 8
_LINE_END = re.compile("\r\n|\n|\r")
_FOLDED_WITHIN = re.compile(rb"((?:\r\n|\n|\r)[ \t])([\x80-\xbf]{1,3})")
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}(?=[;:])")
_ONE = {
    "UID", "SEQUENCE", "STATUS", "SUMMARY", "DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "METHOD",
    "X-WR-TIMEZONE",
}  # fmt: skip
_MANY = {"EXDATE", "RDATE", "EXRULE", "X-OUTRIDER-SCOPE", "CATEGORIES"}


class CalendarError(ValueError):
    """A calendar that cannot be read or meant: the line of its text, from 1, and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Property:
    """One content line. Parameter names are in capitals."""

    name: str
    parameters: Mapping[str, str]
    value: str
    line: int

    def error(self, reason: str) -> CalendarError:
        return CalendarError(self.line, f"{self.name}: {reason}")


@dataclass(slots=True)
class Component:
    """An event, or what the calendar says of itself: the properties that windows need."""

    line: int
    one: dict[str, Property] = field(default_factory=dict)
    many: list[Property] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        found = self.one.get(name)
        return default if found is None else found.value.strip()

    def every(self, name: str) -> list[Property]:
        return [each for each in self.many if each.name == name]


def decode_calendar(raw: bytes) -> str:
    """The text of a calendar. A line that was folded within a character (RFC 5545, 3.1) is folded after it instead, so
    that lines keep their numbers. Raises CalendarError."""
    raw = _FOLDED_WITHIN.sub(rb"\2\1", raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(_LINE_END.split(raw[: error.start].decode("utf-8")))
        raise CalendarError(line, f"the calendar is not UTF-8, at byte {error.start}") from None


def read_components(text: str) -> tuple[Component, list[Component]]:
    """The calendar's own properties, and its events. Raises CalendarError."""
    if len(text) > LARGEST_CALENDAR:
        raise CalendarError(1, f"a calendar has at most {LARGEST_CALENDAR} characters")
    calendar, events, inside = Component(1), [], list[str]()
    is_over, line = False, 1
    for line, content in _unfolded(text.removeprefix("\ufeff")):
        name = _name(content, line)
        if is_over:
            raise CalendarError(line, "something follows the end of the calendar")
        if name == "BEGIN":
            inside.append(content.partition(":")[2].strip().upper())
            _check_nesting(inside, line)
            if inside == ["VCALENDAR", "VEVENT"]:
                events.append(Component(line))
        elif name == "END":
            ended = content.partition(":")[2].strip().upper()
            if not inside or inside.pop() != ended:
                raise CalendarError(line, f"END:{ended[:40]} ends what did not begin")
            is_over = not inside
        elif not inside:
            raise CalendarError(line, "a calendar begins with BEGIN:VCALENDAR")
        elif inside == ["VCALENDAR"]:
            _keep(calendar, name, content, line)
        elif inside == ["VCALENDAR", "VEVENT"]:
            _keep(events[-1], name, content, line)
    if not is_over:
        raise CalendarError(
            line, f"the calendar breaks off: END:{inside[-1][:40] if inside else 'VCALENDAR'} is missing"
        )
    return calendar, events


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Content lines with the number of the line they begin on. Blank lines are passed over."""
    began, parts = 0, list[str]()
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        if number > MOST_LINES:
            raise CalendarError(number, f"a calendar has at most {MOST_LINES} lines")
        if raw[:1] in (" ", "\t") and parts:
            parts.append(raw[1:])
            continue
        if parts:
            yield began, "".join(parts)
        began, parts = number, [raw] if raw.strip() else []
    if parts:
        yield began, "".join(parts)


def _name(content: str, line: int) -> str:
    found = _NAME.match(content)
    if found is None:
        raise CalendarError(line, f"{content[:40]!r} is no property; write it like NAME:value")
    return found[0].upper()


def _check_nesting(inside: list[str], line: int) -> None:
    if inside[0] != "VCALENDAR":
        raise CalendarError(line, "a calendar begins with BEGIN:VCALENDAR")
    if inside[1:].count("VEVENT") > 1:
        raise CalendarError(line, "an event within an event")
    if len(inside) > _DEEPEST:
        raise CalendarError(line, f"nested deeper than {_DEEPEST} levels")


def _keep(component: Component, name: str, content: str, line: int) -> None:
    if name not in _ONE and name not in _MANY:
        return
    if len(content) > _LONGEST_PROPERTY:
        raise CalendarError(line, f"{name}: more than {_LONGEST_PROPERTY} characters")
    try:
        _, parameters, value = Contentline(content).parts()  # type: ignore[no-untyped-call]
    except ValueError:
        raise CalendarError(line, f"{name}: the parameters or the value cannot be read") from None
    read = Property(name, {key.upper(): str(each) for key, each in parameters.items()}, str(value), line)
    if name in _MANY:
        component.many.append(read)
    elif name in component.one:
        raise read.error(f"is there twice; the first one is on line {component.one[name].line}")
    else:
        component.one[name] = read
