"""Calendars that the collector reads by itself, each at its interval.

A calendar that cannot be had or read changes nothing, and is tried again: only one that was read to its end can say
that an event is gone. What became of it the last time is in the log and at `/v1/calendars`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import web

from outrider.core.units import SECOND, Instant, format_instant
from outrider_collector.calendars.api import CalendarText, take_calendar
from outrider_collector.calendars.source import SourceError, read_source, shown
from outrider_collector.config import CalendarSetting
from outrider_collector.rooms import ROOMS, Rooms, json_answer
from outrider_collector.statement.values import Plain
from outrider_collector.store import StoreFailedError

_log = logging.getLogger("outrider.calendars")


@dataclass(slots=True)
class Followed:
    """A calendar, and how the last look at it went: `trouble` is empty after a good one. `failures` counts looks that
    failed, `taken` the versions of windows that were recorded from it, both since the collector began."""

    setting: CalendarSetting
    looked_at: Instant | None = None
    read_at: Instant | None = None
    trouble: str = ""
    failures: int = 0
    taken: int = 0

    def plain(self) -> Plain:
        return {
            "calendar": self.setting.name,
            "source": shown(self.setting.source),
            "interval_us": self.setting.interval,
            "looked_at": None if self.looked_at is None else format_instant(self.looked_at),
            "read_at": None if self.read_at is None else format_instant(self.read_at),
            "trouble": self.trouble,
        }


async def look(rooms: Rooms, followed: Followed) -> None:
    """Read a calendar once. Raises nothing: trouble is kept, and logged when it is new."""
    setting = followed.setting
    wanted = CalendarText(setting.name, setting.zone, setting.scope, allow_unknown_checks=setting.allow_unknown_checks)
    before = followed.trouble
    try:
        followed.looked_at = rooms.clock.now()
        raw = await read_source(setting.source)
        found = await asyncio.to_thread(take_calendar, rooms, wanted, raw)
    except (SourceError, ValueError, StoreFailedError) as error:
        followed.trouble = str(error)
        followed.failures += 1
        if followed.trouble != before:
            _log.warning("calendar %s: %s; nothing was changed", setting.name, error)
        return
    followed.read_at, followed.trouble = followed.looked_at, ""
    followed.taken += len(found["recorded"])
    if found["recorded"]:
        _log.info("calendar %s: %d versions recorded", setting.name, len(found["recorded"]))


async def follow(rooms: Rooms, followed: Followed) -> None:
    """Read a calendar again and again, until cancelled."""
    while True:
        await look(rooms, followed)
        await asyncio.sleep(followed.setting.interval / SECOND)


def add_calendars(app: web.Application) -> list[Followed]:
    """Add GET /v1/calendars; gives the calendars of the configuration, which are still to be followed."""
    every = [Followed(setting) for setting in app[ROOMS].config.calendars]

    async def show(_: web.Request) -> web.Response:
        return json_answer({"calendars": [each.plain() for each in every]})

    app.router.add_get("/v1/calendars", show)
    return every
