"""Windows as an iCalendar file (RFC 5545), for calendars that people look at.

One event a window: UID is the window's name and stays, SEQUENCE counts its versions, STATUS says whether it still
stands. Times are in UTC and whole seconds, which is all that the format has. The same announcements give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from icalendar import Calendar, Event, vText

from outrider.core.maintenance import Act, Announcement, histories
from outrider.core.units import SECOND, Instant, to_datetime


def calendar_of(announcements: Iterable[Announcement]) -> bytes:
    """Every window, cancelled ones too."""
    calendar = Calendar()
    calendar.add("prodid", "-//Outrider//maintenance windows//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for history in histories(announcements).values():
        calendar.add_component(_event(history))
    return bytes(calendar.to_ical())


def _event(history: tuple[Announcement, ...]) -> Event:
    latest = history[-1]
    event = Event()
    event.add("uid", f"{latest.window}@outrider")
    event.add("sequence", latest.version - 1)
    event.add("dtstamp", _moment(latest.recorded_at))
    event.add("created", _moment(history[0].recorded_at))
    event.add("last-modified", _moment(latest.recorded_at))
    event.add("dtstart", _moment(latest.start))
    event.add("dtend", _moment(max(latest.end, latest.start + SECOND)))
    event.add("status", "CANCELLED" if latest.act is Act.CANCEL else "CONFIRMED")
    if latest.emergency:
        event.add("categories", ["EMERGENCY"])
    event.add("summary", _one_line(latest.reason) or "Maintenance")
    for pattern in latest.scope:
        event.add("x-outrider-scope", vText(_one_line(pattern)))  # a bare text would go in unescaped
    return event


def _moment(instant: Instant) -> datetime:
    return to_datetime(instant // SECOND * SECOND)


def _one_line(text: str) -> str:
    """Without control characters, which the format has no way to carry."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
