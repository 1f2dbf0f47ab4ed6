"""Calendars, and files of windows, over HTTP: in, all or nothing, and out.

The libraries that read and write them are loaded when the first calendar comes, so that nobody else waits for them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from aiohttp import web

from outrider_collector.access.gate import is_known, signed
from outrider_collector.rooms import ROOMS, Rooms, json_answer
from outrider_collector.statement.values import Plain
from outrider_collector.statement.windows import announcement
from outrider_collector.window_fields import known_checks, read_flag, read_zone, refusal, unknown_check

if TYPE_CHECKING:
    from outrider_collector.calendars.reading import Reading, Said

_FORMATS = ("ics", "yaml")
_IMPORT_FIELDS = ("calendar", "format", "timezone", "scope", "author", "allow_unknown_checks", "dry_run")


@dataclass(frozen=True, slots=True)
class CalendarText:
    """How a calendar is taken: its name, and what its events do not say themselves."""

    name: str
    zone: ZoneInfo | None = None
    scope: tuple[str, ...] = ("*",)
    author: str = ""
    allow_unknown_checks: bool = False
    format: str = "ics"
    is_signed: bool = False
    """Whether the author proved who they are: what a file says of authors is a note then."""


def add_exchange(app: web.Application) -> None:
    """Add the routes. The application needs its ROOMS."""
    app.router.add_get("/v1/windows.ics", _export)
    app.router.add_post("/v1/windows/import", _import)


async def _export(request: web.Request) -> web.Response:
    from outrider_collector.calendars.writing import calendar_of  # a library that costs every other request nothing

    register = request.app[ROOMS].register
    body = await asyncio.to_thread(lambda: calendar_of(register.announcements()))
    headers = {"Content-Disposition": 'attachment; filename="outrider-windows.ics"'}
    return web.Response(body=body, content_type="text/calendar", charset="utf-8", headers=headers)


async def _import(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    query = request.query
    if unknown := [name for name in query if name not in _IMPORT_FIELDS]:
        raise refusal(422, unknown[0], f"is unknown; an import takes {', '.join(_IMPORT_FIELDS)}")
    calendar = query.get("calendar", "")
    if not calendar or len(calendar) > 200 or not calendar.isprintable():
        raise refusal(422, "calendar", "name the calendar, in 200 printable characters: its events are known by it")
    wanted = CalendarText(
        calendar,
        read_zone(query.get("timezone")),
        tuple(query.getall("scope", ["*"])),
        signed(request, query.get("author", "")),
        allow_unknown_checks=read_flag("allow_unknown_checks", query.get("allow_unknown_checks")),
        format=query.get("format", "ics"),
        is_signed=is_known(request),
    )
    if wanted.format not in _FORMATS:
        raise refusal(422, "format", f"{wanted.format[:40]!r} is none of {', '.join(_FORMATS)}")
    is_trial = read_flag("dry_run", query.get("dry_run"))
    raw = await request.read()
    try:
        found = await asyncio.to_thread(take_calendar, rooms, wanted, raw, is_trial=is_trial)
    except ValueError as error:
        is_placed = hasattr(error, "line") or hasattr(error, "mistakes")
        raise refusal(422, "" if is_placed else "calendar", str(error)) from None
    return json_answer(found)


def take_calendar(rooms: Rooms, wanted: CalendarText, raw: bytes, *, is_trial: bool = False) -> Plain:
    """Read a calendar and record what is new in it, all or nothing; blocks. Raises ValueError; CalendarError and
    WindowFileError name the lines of its text."""
    from outrider_collector.calendars.lines import CalendarError, decode_calendar
    from outrider_collector.calendars.reading import read_calendar
    from outrider_collector.window_file import WindowText

    now = rooms.clock.now()
    if wanted.format == "ics":
        return _taken(rooms, wanted, read_calendar(decode_calendar(raw), wanted.zone, wanted.scope, now), is_trial)
    windows = WindowText(raw, wanted.zone, wanted.scope)
    try:
        return _taken(rooms, wanted, windows.reading(now), is_trial)
    except CalendarError as error:
        raise windows.mistake(error.line, error.reason) from None


def _taken(rooms: Rooms, wanted: CalendarText, reading: Reading, is_trial: bool) -> Plain:
    from outrider_collector.calendars.importing import record
    from outrider_collector.calendars.lines import CalendarError

    if not wanted.allow_unknown_checks and any(said.scope != ("*",) for said in reading.said):
        known = known_checks(rooms)
        for said in reading.said:
            if not said.is_off and (mistake := unknown_check(said.scope, known)):
                raise CalendarError(said.line, f"scope: {mistake}")
    if wanted.is_signed:
        reading = replace(reading, said=tuple(_noted(each, wanted.author) for each in reading.said))
    author = wanted.author or f"calendar {wanted.name}"
    found = rooms.register.together(lambda desk: record(desk, wanted.name, author, reading), is_trial=is_trial)
    return {
        "calendar": wanted.name,
        "dry_run": is_trial,
        "recorded": [announcement(each) for each in found.made],
        "unchanged": found.unchanged,
        "left_alone": found.left_alone,
    }


def _noted(said: Said, author: str) -> Said:
    """A window of a file under whoever sent the file, and for whom, if the file names another."""
    return said if said.author in ("", author) else replace(said, author=f"{author}, for {said.author}")
