"""Maintenance windows over HTTP: announce, change, look up.

Rules
-----
1. There is no way to take an announcement out, or to change one: every act adds a version, stamped here.
2. What cannot be meant changes nothing; the refusal says why, and which field it was.
3. A scope names checks that are known: heard of lately, or named by the agreement. Another one is refused with those
   that are known, unless the caller says that it is still to come.
4. What comes too late is recorded all the same, and the answer says so for each guarantee, under `late`.
5. Where access is required the author is who sent it (`access.gate.signed`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from outrider.core.maintenance import Act, Announcement, excused_by, histories
from outrider.core.units import Instant, format_instant
from outrider.core.window_acts import cancelled, completed, extended, moved, shortened
from outrider_collector.access.gate import signed
from outrider_collector.recurrence import RecurrenceError, occurrences
from outrider_collector.rooms import ROOMS, RefusedError, Rooms, json_answer
from outrider_collector.statement.values import Plain
from outrider_collector.statement.windows import announcement, why_not
from outrider_collector.window_fields import (
    decode_body,
    read_end,
    read_length,
    read_moment,
    read_zone,
    refusal,
    refuse_unknown_checks,
)
from outrider_collector.windows import Change, NewWindow, UnknownWindowError, WindowError

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
    emergency: bool = False
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


def add_windows(app: web.Application) -> None:
    """Add the routes. The application needs its ROOMS."""
    app.router.add_get("/v1/windows", _list)
    app.router.add_post("/v1/windows", _announce)
    app.router.add_get("/v1/windows/{window}", _history)
    app.router.add_post(f"/v1/windows/{{window}}/{{act:{'|'.join(_FIELDS)}}}", _follow_up)


# --- looking up ------------------------------------------------------------------------------------------------------


async def _list(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    known = histories(await asyncio.to_thread(rooms.register.announcements))
    return json_answer({"windows": [_described(history, rooms) for history in known.values()]})


async def _history(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    try:
        history = await asyncio.to_thread(rooms.register.history, request.match_info["window"])
    except UnknownWindowError as error:
        raise RefusedError(404, str(error)) from None
    return json_answer(_described(history, rooms))


def _described(history: tuple[Announcement, ...], rooms: Rooms) -> Plain:
    """A window with what it will excuse for every check in its scope. A calendar may have changed the scope: what
    a version did not cover it does not excuse."""
    latest = history[-1]
    in_scope = [replace(each, scope=("*",) if _covers(each, latest) else ("nothing",)) for each in history]
    excuses, late = [], []
    for guarantee in rooms.config.agreement.guarantees:
        notice = guarantee.notice_for(latest)
        taken = 0 if notice is None else excused_by(in_scope, notice, "", notice).length
        excuses.append({"guarantee": guarantee.id, "excused_us": taken, "why_not": why_not(history, guarantee, taken)})
        if notice is not None and latest.act is not Act.CANCEL and taken < latest.end - latest.start:
            late.append(
                {
                    "guarantee": guarantee.id,
                    "excuses": "part" if taken else "nothing",
                    "recorded_by": format_instant(latest.start - notice),
                    "excusable_from": format_instant(latest.recorded_at + notice),
                }
            )
    return {
        **announcement(latest),
        "versions": [announcement(each) for each in history],
        "excuses": excuses,
        "late": late,
    }


def _covers(version: Announcement, latest: Announcement) -> bool:
    """Whether a version named whatever the latest names: each pattern of it, or a beginning of it with a star."""
    return all(
        any(
            mine == pattern or (mine[-1:] == "*" and not set(mine[:-1]) & set("*?[") and pattern.startswith(mine[:-1]))
            for mine in version.scope
        )
        for pattern in latest.scope
    )


# --- announcing and changing -----------------------------------------------------------------------------------------


async def _announce(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    wanted = decode_body(await request.read(), Wanted)
    wanted = msgspec.structs.replace(wanted, author=signed(request, wanted.author))
    windows = _windows(wanted, rooms.clock.now())
    if not wanted.allow_unknown_checks and wanted.scope != ("*",):
        await asyncio.to_thread(refuse_unknown_checks, wanted.scope, rooms)
    try:
        made = await asyncio.to_thread(rooms.register.announce_all, windows)
    except WindowError as error:
        raise refusal(422, error.field, str(error)) from None
    described = [_described((each,), rooms) for each in made]
    return json_answer(described[0] if wanted.recurrence is None else {"windows": described}, status=201)


def _windows(wanted: Wanted, now: Instant) -> list[NewWindow]:
    """One window, or one for each occurrence that is not over. Raises RefusedError."""
    zone = read_zone(wanted.timezone)
    start = read_moment("start", wanted.start, zone)
    end = read_end(start, wanted.end, wanted.duration, zone)
    if wanted.recurrence is None:
        if wanted.exdates:
            raise refusal(422, "exdates", "there is nothing to leave out without a recurrence")
        return [NewWindow(start, end, wanted.scope, wanted.reason, wanted.author, wanted.emergency)]
    if start < 0 or end <= start:
        raise refusal(422, "end", "a window starts after 1970 and ends after it starts")
    exceptions = frozenset(read_moment("exdates", each, zone) for each in wanted.exdates)
    try:
        found = occurrences(wanted.recurrence, start, zone or _UTC, now, exceptions)
    except (RecurrenceError, ValueError, OverflowError) as error:
        raise refusal(422, "recurrence", str(error)) from None
    length = end - start
    if not (ahead := [each for each in found if each + length > now]):
        raise refusal(422, "recurrence", "every occurrence within a year is over, or left out")
    said = (wanted.scope, wanted.reason, wanted.author, wanted.emergency)
    return [NewWindow(each, each + length, *said) for each in ahead]


async def _follow_up(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    act = request.match_info["act"]
    raw = await request.read()
    wanted = decode_body(raw, FollowUp) if raw else FollowUp(author=request.query.get("author", ""))
    author = signed(request, wanted.author)
    for field in ("start", "end", "duration", "by", "timezone"):
        if getattr(wanted, field) is not None and field not in _FIELDS[act]:
            raise refusal(422, field, f"{act} does not take this")
    change = _change(act, wanted)
    try:
        made = await asyncio.to_thread(
            rooms.register.change, request.match_info["window"], change, author=author, reason=wanted.reason
        )
    except UnknownWindowError as error:
        raise RefusedError(404, str(error)) from None
    except WindowError as error:
        raise refusal(409, error.field, str(error)) from None
    return json_answer(_described(await asyncio.to_thread(rooms.register.history, made.window), rooms))


def _change(act: str, wanted: FollowUp) -> Change:
    """What an act does to the latest version. Raises RefusedError where its fields cannot be read."""
    if act in ("complete", "cancel"):
        return completed if act == "complete" else cancelled
    zone = read_zone(wanted.timezone)
    if act == "move":
        return _move(wanted, zone)
    change, sign = (extended, 1) if act == "extend" else (shortened, -1)
    if (wanted.end is None) == (wanted.by is None):
        raise refusal(422, "end", f"to {act} takes an end or by how much, one of them")
    if wanted.end is not None:
        end = read_moment("end", wanted.end, zone)
        return lambda latest, at: change(latest, end, at)
    by = sign * read_length("by", wanted.by or "")
    return lambda latest, at: change(latest, latest.end + by, at)


def _move(wanted: FollowUp, zone: ZoneInfo | None) -> Change:
    if wanted.start is None:
        raise refusal(422, "start", "to move a window, say its new start")
    start = read_moment("start", wanted.start, zone)
    if wanted.end is None and wanted.duration is None:
        return lambda latest, at: moved(latest, start, start + latest.end - latest.start, at)
    end = read_end(start, wanted.end, wanted.duration, zone)
    return lambda latest, at: moved(latest, start, end, at)
