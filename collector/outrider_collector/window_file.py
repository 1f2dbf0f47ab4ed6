"""A YAML file of windows -> what it says about each of them, for the import that calendars take too.

Rules
-----
1. A window is known by the file's name and its own `name`; an occurrence of one that recurs, by its start too.
2. What the file says of a name is all there is of it: an occurrence that its rule gives no more is gone. A name that
   is no longer in the file says nothing; to take a window back, write `cancelled: true`.
3. Times have an offset, or are wall times of the window's zone, or the file's. One that the clocks skip or show twice
   is refused with both readings. Lengths are exact.
4. Nothing is used of a file with a mistake. Up to MOST_MISTAKES of them are told, each with its line and column; the
   first one in a window that recurs is the last one told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from outrider.core.units import SECOND, Duration, Instant, format_instant
from outrider.core.wall_time import on_wall, read_time
from outrider.strict_yaml import ConfigError, DurationText, Limits, Loaded, Place, load
from outrider.zones import read_zone
from outrider_collector.calendars.reading import MOST_EVENTS, MOST_RULES, Reading, Said
from outrider_collector.recurrence import AHEAD, BACK, read_rule, starts
from outrider_collector.windows import LONGEST

MOST_MISTAKES = 20
LONGEST_NAME = 200
LIMITS = Limits(max_bytes=4 << 20, max_nodes=200_000)
_UTC = ZoneInfo("UTC")

Found = TypeVar("Found")


class WindowEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One window, or one for each occurrence of `recurrence`; `end` or `duration`."""

    name: str
    start: str
    end: str | None = None
    duration: DurationText | None = None
    timezone: str | None = None
    recurrence: str | None = None
    exdates: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None
    reason: str = ""
    author: str = ""
    emergency: bool = False
    cancelled: bool = False


class WindowsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Windows; `timezone` is that of wall times of windows that name none."""

    windows: tuple[WindowEntry, ...]
    timezone: str | None = None


class WindowFileError(ValueError):
    """Mistakes of a file, each with its line and column; nothing of it is used."""

    def __init__(self, mistakes: list[ConfigError], more: bool = False) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join([*map(told, mistakes), *(["and more mistakes"] if more else [])]))


def told(mistake: ConfigError) -> str:
    """A mistake without the name of its file, which whoever sent it knows better: "4:12: start: ..."."""
    hint = f" ({mistake.hint})" if mistake.hint else ""
    return f"{mistake.line}:{mistake.column}: {mistake.message}{hint}"


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise WindowFileError([ConfigError("windows", line, column, "the file is not UTF-8 text")]) from None


class WindowText:
    """A file that was read. Raises WindowFileError, at once or when it is asked."""

    def __init__(self, raw: bytes, zone: ZoneInfo | None, scope: tuple[str, ...]) -> None:
        text = _decoded(raw)
        try:
            self._loaded: Loaded[WindowsFile] = load(
                text.removeprefix("\ufeff"), WindowsFile, file="windows", expand=False, limits=LIMITS
            )
        except ConfigError as error:
            raise WindowFileError([error]) from None
        self._zone, self._scope = zone, scope

    def reading(self, now: Instant) -> Reading:
        """What it says; of what recurs, from BACK before `now` to AHEAD after it. `line` counts the windows from 1."""
        mistakes: list[ConfigError] = []
        found: list[Said] = []
        file = self._loaded.value
        try:
            zone = self._read(("timezone",), file.timezone, read_zone) if file.timezone else self._zone
            self._check_names()
        except ConfigError as error:
            raise WindowFileError([error]) from None
        for number in range(len(file.windows)):
            try:
                found += self._said(number, zone, now)
            except ConfigError as error:
                mistakes.append(error)
                if len(mistakes) > MOST_MISTAKES:
                    raise WindowFileError(mistakes[:-1], more=True) from None
                if file.windows[number].recurrence is not None:  # a rule that never happens takes long to tell
                    raise WindowFileError(mistakes) from None
            if len(found) > MOST_EVENTS:
                raise self.mistake(number + 1, f"a file makes at most {MOST_EVENTS} windows")
        if mistakes:
            raise WindowFileError(mistakes)
        return Reading(tuple(found), is_whole=False, named=frozenset(entry.name for entry in file.windows))

    def mistake(self, number: int, reason: str) -> WindowFileError:
        """What is wrong with a window, by its number from 1; to be raised."""
        return WindowFileError([self._loaded.located.error(("windows", number - 1), reason)])

    def _check_names(self) -> None:
        seen: dict[str, int] = {}
        for number, entry in enumerate(self._loaded.value.windows):
            at = ("windows", number, "name")
            if not entry.name.strip() or len(entry.name) > LONGEST_NAME or not entry.name.isprintable():
                raise self._error(at, f"a window is known by its name, in {LONGEST_NAME} printable characters")
            if (first := seen.setdefault(entry.name, number)) != number:
                line, _ = self._loaded.located.mark(("windows", first, "name"))
                raise self._error(at, f"{entry.name!r} is there twice, first on line {line}")
        if sum(entry.recurrence is not None for entry in self._loaded.value.windows) > MOST_RULES:
            raise self._error(("windows",), f"a file has at most {MOST_RULES} windows that recur")

    def _said(self, number: int, default: ZoneInfo | None, now: Instant) -> Iterator[Said]:
        entry, at = self._loaded.value.windows[number], ("windows", number)
        zone = default if entry.timezone is None else self._read((*at, "timezone"), entry.timezone, read_zone)
        if entry.scope == ():
            raise self._error((*at, "scope"), "an empty scope covers nothing; leave it out for everything")
        start = self._moment((*at, "start"), entry.start, zone)
        length = self._length(number, start, zone)
        scope = self._scope if entry.scope is None else entry.scope
        said = Said(
            entry.name, "", 0, start, start + length, entry.cancelled, scope, entry.reason, number + 1,
            entry.emergency, entry.author,
        )  # fmt: skip
        if entry.recurrence is None:
            if entry.exdates:
                raise self._error((*at, "exdates"), "there is nothing to leave out without a recurrence")
            yield said
            return
        for each in self._occurrences(number, start, zone or _UTC, now):
            yield replace(said, recurrence=format_instant(each), start=each, end=each + length)

    def _length(self, number: int, start: Instant, zone: ZoneInfo | None) -> Duration:
        entry, at = self._loaded.value.windows[number], ("windows", number)
        if (entry.end is None) == (entry.duration is None):
            raise self._error(at, "a window has an end or a duration, one of them")
        if start < 0:
            raise self._error((*at, "start"), "a window starts after 1970")
        if entry.end is None:
            length, key = int(entry.duration or 0), "duration"
        else:
            length, key = self._moment((*at, "end"), entry.end, zone) - start, "end"
        if length <= 0:
            raise self._error((*at, key), f"a window must end after it starts, {format_instant(start)}")
        if length > LONGEST:
            raise self._error((*at, key), f"a window is at most {LONGEST // (86_400 * SECOND)} days long")
        return length

    def _occurrences(self, number: int, first: Instant, zone: ZoneInfo, now: Instant) -> list[Instant]:
        entry, at = self._loaded.value.windows[number], ("windows", number)

        def worked_out(text: str) -> list[Instant]:
            return list(starts(read_rule(text), on_wall(first, zone), zone, now))

        found = self._read((*at, "recurrence"), entry.recurrence or "", worked_out)
        gone = set()
        for place, text in enumerate(entry.exdates):
            out = self._moment((*at, "exdates", place), text, zone)
            if out not in found and now - BACK <= out <= now + AHEAD:
                raise self._error((*at, "exdates", place), f"{text} is no occurrence of the rule")
            gone.add(out)
        return [each for each in found if each not in gone]

    def _moment(self, at: Place, text: str, zone: ZoneInfo | None) -> Instant:
        return self._read(at, text, lambda each: read_time(each, zone))

    def _read(self, at: Place, text: str, read: Callable[[str], Found]) -> Found:
        try:
            return read(text)
        except (ValueError, OverflowError) as error:
            raise self._error(at, str(error)) from None

    def _error(self, at: Place, message: str) -> ConfigError:
        key = next((each for each in reversed(at) if isinstance(each, str) and each != "windows"), "")
        return self._loaded.located.error(at, f"{key}: {message}" if key else message)
