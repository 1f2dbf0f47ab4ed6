"""Maintenance windows over HTTP: announce, change, look up, export.

Rules
-----
1. There is no way to take an announcement out, or to change one: every act adds a version, stamped here.
2. What cannot be meant changes nothing; the refusal says why, and which field it was.
3. A scope names checks that are known: heard of lately, or named by the agreement. Another one is refused with those
   that are known, unless the caller says that it is still to come.
4. What comes too late is recorded all the same, and the answer says so for each guarantee, under `late`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement, excused_by, histories
from outrider.core.units import DAY, Duration, Instant, format_instant, parse_duration
from outrider.core.wall_time import read_time
from outrider.core.window_acts import cancelled, completed, extended, moved, shortened
from outrider_collector.recurrence import RecurrenceError, occurrences
from outrider_collector.rooms import ROOMS, RefusedError, Rooms, json_answer
from outrider_collector.statement import Plain, announcement, why_not
from outrider_collector.windows import Change, NewWindow, UnknownWindowError, WindowError
from outrider_collector.zones import find_zone

HEARD_OF: Duration = 30 * DAY
"""A check that ran within this long is known."""

_CHECKS_SHOWN = 20
_UTC = ZoneInfo("UTC")


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an announcement. Times have an offset, or are wall times of `timezone`; `end` or `duration`.
    `recurrence` is an RRULE on the wall clock of `timezone`; `exdates` are starts to leave out."""

    start: str
    end: str | None = None
    duration: str | None = None
    timezone: str | None = None
    recurrence: str | None = None
    exdates: tuple[str, ...] = ()
    scope: tuple[str, ...] = ("*",)
    reason: str = ""
    author: str = ""
    allow_unknown_checks: bool = False


class FollowUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an act on a window: `move` takes start and, unless the length stays, end or duration; `extend` and
    `shorten` take end or by."""

    start: str | None = None
    end: str | None = None
    duration: str | None = None
    by: str | None = None
    timezone: str | None = None
    reason: str | None = None
    author: str = ""


_FIELDS = {
    "move": {"start", "end", "duration", "timezone"},
    "extend": {"end", "by", "timezone"},
    "shorten": {"end", "by", "timezone"},
    "complete": set(),
    "cancel": set(),
}
"""Which fields each act takes, beside `reason` and `author`."""

_IMPORT_FIELDS = ("calendar", "timezone", "scope", "author", "allow_unknown_checks", "dry_run")


@dataclass(frozen=True, slots=True)
class CalendarText:
    """How a calendar is taken: its name, and what its events do not say themselves."""

    name: str
    zone: ZoneInfo | None = None
    scope: tuple[str, ...] = ("*",)
    author: str = ""
    allow_unknown_checks: bool = False


_Body = TypeVar("_Body", Wanted, FollowUp)


def add_windows(app: web.Application) -> None:
    """Add the routes. The application needs its ROOMS."""
    app.router.add_get("/v1/windows", _list)
    app.router.add_post("/v1/windows", _announce)
    app.router.add_get("/v1/windows.ics", _export)
    app.router.add_post("/v1/windows/import", _import)
    app.router.add_get("/v1/windows/{window}", _history)
    app.router.add_post(f"/v1/windows/{{window}}/{{act:{'|'.join(_FIELDS)}}}", _follow_up)


# --- looking up ------------------------------------------------------------------------------------------------------


async def _list(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    known = histories(rooms.register.announcements())
    return json_answer({"windows": [_described(history, rooms) for history in known.values()]})


async def _history(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    try:
        return json_answer(_described(rooms.register.history(request.match_info["window"]), rooms))
    except UnknownWindowError as error:
        raise RefusedError(404, str(error)) from None


async def _export(request: web.Request) -> web.Response:
    from outrider_collector.calendar_writing import calendar_of  # a library that costs every other request nothing

    body = await asyncio.to_thread(calendar_of, request.app[ROOMS].register.announcements())
    headers = {"Content-Disposition": 'attachment; filename="outrider-windows.ics"'}
    return web.Response(body=body, content_type="text/calendar", charset="utf-8", headers=headers)


def _described(history: tuple[Announcement, ...], rooms: Rooms) -> Plain:
    """A window with what it will excuse for a check in its scope, which is the same in all its versions."""
    latest = history[-1]
    in_scope = [replace(each, scope=("*",)) for each in history]
    excuses, late = [], []
    for guarantee in rooms.config.agreement.guarantees:
        taken = excused_by(in_scope, guarantee.notice, "").length if guarantee.windows_excuse else 0
        excuses.append({"guarantee": guarantee.id, "excused_us": taken, "why_not": why_not(history, guarantee, taken)})
        if guarantee.windows_excuse and latest.act is not Act.CANCEL and taken < latest.end - latest.start:
            late.append(
                {
                    "guarantee": guarantee.id,
                    "excuses": "part" if taken else "nothing",
                    "recorded_by": format_instant(latest.start - guarantee.notice),
                    "excusable_from": format_instant(latest.recorded_at + guarantee.notice),
                }
            )
    return {
        **announcement(latest),
        "versions": [announcement(each) for each in history],
        "excuses": excuses,
        "late": late,
    }


# --- announcing and changing -----------------------------------------------------------------------------------------


async def _announce(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    wanted = _decoded(await request.read(), Wanted)
    windows = _windows(wanted, rooms.clock.now())
    if not wanted.allow_unknown_checks and wanted.scope != ("*",):
        await asyncio.to_thread(_refuse_unknown_checks, wanted.scope, rooms)
    try:
        made = await asyncio.to_thread(rooms.register.announce_all, windows)
    except WindowError as error:
        raise _refusal(422, error.field, str(error)) from None
    described = [_described((each,), rooms) for each in made]
    return json_answer(described[0] if wanted.recurrence is None else {"windows": described}, status=201)


def _windows(wanted: Wanted, now: Instant) -> list[NewWindow]:
    """One window, or one for each occurrence that is not over. Raises RefusedError."""
    zone = _zone(wanted.timezone)
    start = _time("start", wanted.start, zone)
    end = _end(start, wanted.end, wanted.duration, zone)
    if wanted.recurrence is None:
        if wanted.exdates:
            raise _refusal(422, "exdates", "there is nothing to leave out without a recurrence")
        return [NewWindow(start, end, wanted.scope, wanted.reason, wanted.author)]
    if start < 0 or end <= start:
        raise _refusal(422, "end", "a window starts after 1970 and ends after it starts")
    exceptions = frozenset(_time("exdates", each, zone) for each in wanted.exdates)
    try:
        found = occurrences(wanted.recurrence, start, zone or _UTC, now, exceptions)
    except (RecurrenceError, ValueError, OverflowError) as error:
        raise _refusal(422, "recurrence", str(error)) from None
    length = end - start
    if not (ahead := [each for each in found if each + length > now]):
        raise _refusal(422, "recurrence", "every occurrence within a year is over, or left out")
    return [NewWindow(each, each + length, wanted.scope, wanted.reason, wanted.author) for each in ahead]


async def _follow_up(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    act = request.match_info["act"]
    raw = await request.read()
    wanted = _decoded(raw, FollowUp) if raw else FollowUp(author=request.query.get("author", ""))
    for field in ("start", "end", "duration", "by", "timezone"):
        if getattr(wanted, field) is not None and field not in _FIELDS[act]:
            raise _refusal(422, field, f"{act} does not take this")
    change = _change(act, wanted)
    try:
        made = await asyncio.to_thread(
            rooms.register.change, request.match_info["window"], change, author=wanted.author, reason=wanted.reason
        )
    except UnknownWindowError as error:
        raise RefusedError(404, str(error)) from None
    except WindowError as error:
        raise _refusal(409, error.field, str(error)) from None
    return json_answer(_described(await asyncio.to_thread(rooms.register.history, made.window), rooms))


def _change(act: str, wanted: FollowUp) -> Change:
    """What an act does to the latest version. Raises RefusedError where its fields cannot be read."""
    if act in ("complete", "cancel"):
        return completed if act == "complete" else cancelled
    zone = _zone(wanted.timezone)
    if act == "move":
        return _move(wanted, zone)
    change, sign = (extended, 1) if act == "extend" else (shortened, -1)
    if (wanted.end is None) == (wanted.by is None):
        raise _refusal(422, "end", f"to {act} takes an end or by how much, one of them")
    if wanted.end is not None:
        end = _time("end", wanted.end, zone)
        return lambda latest, at: change(latest, end, at)
    by = sign * _length("by", wanted.by or "")
    return lambda latest, at: change(latest, latest.end + by, at)


def _move(wanted: FollowUp, zone: ZoneInfo | None) -> Change:
    if wanted.start is None:
        raise _refusal(422, "start", "to move a window, say its new start")
    start = _time("start", wanted.start, zone)
    if wanted.end is None and wanted.duration is None:
        return lambda latest, at: moved(latest, start, start + latest.end - latest.start, at)
    end = _end(start, wanted.end, wanted.duration, zone)
    return lambda latest, at: moved(latest, start, end, at)


# --- calendars -------------------------------------------------------------------------------------------------------


async def _import(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    query = request.query
    if unknown := [name for name in query if name not in _IMPORT_FIELDS]:
        raise _refusal(422, unknown[0], f"is unknown; an import takes {', '.join(_IMPORT_FIELDS)}")
    calendar = query.get("calendar", "")
    if not calendar or len(calendar) > 200 or not calendar.isprintable():
        raise _refusal(422, "calendar", "name the calendar, in 200 printable characters: its events are known by it")
    wanted = CalendarText(
        calendar,
        _zone(query.get("timezone")),
        tuple(query.getall("scope", ["*"])),
        query.get("author", ""),
        allow_unknown_checks=_flag("allow_unknown_checks", query.get("allow_unknown_checks")),
    )
    is_trial = _flag("dry_run", query.get("dry_run"))
    raw = await request.read()
    try:
        found = await asyncio.to_thread(take_calendar, rooms, wanted, raw, is_trial=is_trial)
    except ValueError as error:
        line = getattr(error, "line", None)
        raise _refusal(422, "" if line else "calendar", str(error)) from None
    return json_answer(found)


def take_calendar(rooms: Rooms, wanted: CalendarText, raw: bytes, *, is_trial: bool = False) -> Plain:
    """Read a calendar and record what is new in it, all or nothing; blocks. Raises ValueError; CalendarError
    names the line of its text."""
    from outrider_collector.calendar_import import record
    from outrider_collector.calendar_lines import CalendarError
    from outrider_collector.calendar_reading import read_calendar

    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the calendar is not UTF-8, at byte {error.start}") from None
    reading = read_calendar(text, wanted.zone, wanted.scope, rooms.clock.now())
    if not wanted.allow_unknown_checks and any(said.scope != ("*",) for said in reading.said):
        known = _known_checks(rooms)
        for said in reading.said:
            if not said.is_off and (mistake := _unknown_check(said.scope, known)):
                raise CalendarError(said.line, f"scope: {mistake}")
    author = wanted.author or f"calendar {wanted.name}"
    found = rooms.register.together(lambda desk: record(desk, wanted.name, author, reading), is_trial=is_trial)
    return {
        "calendar": wanted.name,
        "dry_run": is_trial,
        "recorded": [announcement(each) for each in found.made],
        "unchanged": found.unchanged,
        "left_alone": found.left_alone,
    }


def _flag(field: str, text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise _refusal(422, field, f"{text!r} is neither true nor false")
    return text == "true"


# --- reading fields --------------------------------------------------------------------------------------------------


def _refusal(http: int, field: str, message: str) -> RefusedError:
    return RefusedError(http, f"{field}: {message}" if field else message, field=field or None)


def _decoded(raw: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(422, str(error)) from None


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else find_zone(name)
    except ValueError as error:
        raise _refusal(422, "timezone", str(error)) from None


def _time(field: str, text: str, zone: ZoneInfo | None) -> Instant:
    try:
        return read_time(text, zone)
    except (ValueError, OverflowError) as error:
        raise _refusal(422, field, str(error)) from None


def _length(field: str, text: str) -> Duration:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _refusal(422, field, str(error)) from None


def _end(start: Instant, end: str | None, duration: str | None, zone: ZoneInfo | None) -> Instant:
    if (end is None) == (duration is None):
        raise _refusal(422, "end", "a window has an end or a duration, one of them")
    return start + _length("duration", duration or "") if end is None else _time("end", end, zone)


def _refuse_unknown_checks(scope: tuple[str, ...], rooms: Rooms) -> None:
    if mistake := _unknown_check(scope, _known_checks(rooms)):
        raise _refusal(422, "scope", mistake)


def _known_checks(rooms: Rooms) -> list[str]:
    """Rule 3; blocks."""
    now = rooms.clock.now()
    seen = rooms.store.seen(Interval(max(0, now - HEARD_OF), now + 1), rooms.store.position(2**62))
    named = {check for guarantee in rooms.config.agreement.guarantees for check in guarantee.named_checks}
    return sorted({each.check for each in seen} | named)


def _unknown_check(scope: tuple[str, ...], known: list[str]) -> str | None:
    """What is wrong with a scope, if anything is (rule 3). "*" is every check, also where none is known yet."""
    for pattern in scope:
        if pattern == "*" or any(fnmatchcase(check, pattern) for check in known):
            continue
        more = f" and {len(known) - _CHECKS_SHOWN} more" if len(known) > _CHECKS_SHOWN else ""
        shown = ", ".join(known[:_CHECKS_SHOWN]) + more if known else "none yet"
        return (
            f"{pattern!r} is no known check and matches none; known: {shown} "
            "(allow_unknown_checks for one that is still to come)"
        )
    return None
