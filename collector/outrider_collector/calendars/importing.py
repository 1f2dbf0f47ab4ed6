"""A calendar that was read -> versions of windows: what is new is announced, what changed moves, what is gone is
cancelled.

Rules
-----
1. What a calendar says is held against what it said last, not against the window: reading it again changes nothing, and
   what an operator changed by hand stands until the calendar says something new.
2. What is over is never announced, and a window that is over or cancelled never changes: an event that comes back
   becomes a new window, with a notice of its own.
3. An event that is gone from a whole calendar cancels its window, unless it was over by then. So does one that a
   message takes back as a whole, with every occurrence that the message does not name.
4. The start of a window that runs stands. An event that was put off while its window ran cancels it, and is announced
   anew. So is one that has become an emergency, or is none any more.
5. All of a calendar is recorded, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from outrider.core.maintenance import Announcement
from outrider.core.units import Instant
from outrider.core.window_acts import cancelled, completed, extended, is_open, moved, reworded, shortened
from outrider_collector.calendars.lines import CalendarError
from outrider_collector.calendars.reading import Reading, Said
from outrider_collector.windows import Change, Desk, Entry, NewWindow, WindowError


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a calendar: the versions that were recorded, how many events said nothing new, and how many that
    were over or older than what is known were left alone."""

    made: tuple[Announcement, ...]
    unchanged: int
    left_alone: int


def record(desk: Desk, calendar: str, author: str, reading: Reading) -> Imported:
    """Record what a calendar says. Raises CalendarError, with the line of the event that could not be recorded."""
    return _Import(desk, calendar, author).run(reading)


class _Import:
    def __init__(self, desk: Desk, calendar: str, author: str) -> None:
        self._desk = desk
        self._calendar = calendar
        self._author = author
        self._now: Instant = desk.now()
        self._made: list[Announcement] = []
        self._unchanged = 0
        self._left_alone = 0

    def run(self, reading: Reading) -> Imported:
        known = self._desk.entries(self._calendar)
        for said in reading.said:
            try:
                self._take(said, known.get((said.uid, said.recurrence)))
            except WindowError as error:
                raise CalendarError(said.line, str(error)) from None
        here = {(said.uid, said.recurrence) for said in reading.said}
        taken_back = dict(reading.taken_back)
        for key, entry in known.items():
            is_told = reading.is_whole or entry.uid in reading.named
            is_gone = is_told or entry.sequence <= taken_back.get(entry.uid, -1)
            if is_gone and key not in here and not entry.is_off and entry.end > self._now:
                self._gone(replace(entry, sequence=max(entry.sequence, taken_back.get(entry.uid, 0))))
        return Imported(tuple(self._made), self._unchanged, self._left_alone)

    def _take(self, said: Said, entry: Entry | None) -> None:
        if entry is None:
            is_our_own = said.uid.removesuffix("@outrider") in self._desk.latest  # from an export
            if said.is_off or said.end <= self._now or is_our_own:
                self._left_alone += 1
            else:
                self._announce(said)
            return
        if _facts(said) == _facts(entry):
            self._unchanged += 1
            return
        latest = self._desk.latest[entry.window]
        if said.sequence < entry.sequence:
            self._left_alone += 1
        elif is_open(latest, self._now):
            self._follow(said, latest)
        elif not said.is_off and said.end > self._now and (entry.is_off or said.start != entry.start):
            self._announce(said)
        else:
            self._left_alone += 1

    def _announce(self, said: Said) -> None:
        author = said.author or self._author
        made = self._desk.announce(NewWindow(said.start, said.end, said.scope, said.reason, author, said.emergency))
        self._made.append(made)
        self._enter(said, made.window)

    def _follow(self, said: Said, latest: Announcement) -> None:
        """Bring an open window to what the calendar says now."""
        if said.is_off or (said.end <= self._now and latest.start > self._now):
            self._act(latest.window, cancelled)
            self._enter(said, latest.window)
            return
        is_running = latest.start <= self._now
        is_put_off = said.start != latest.start and (said.start > self._now if is_running else said.start <= self._now)
        if is_put_off or said.emergency != latest.emergency:
            self._act(latest.window, cancelled)
            self._announce(said)
            return
        self._put(said, latest, is_running=is_running)
        latest = self._desk.latest[latest.window]
        if is_open(latest, self._now) and (said.scope, said.reason) != (latest.scope, latest.reason):
            self._act(latest.window, lambda each, at: reworded(each, said.scope, said.reason, at))
        self._enter(said, latest.window)

    def _put(self, said: Said, latest: Announcement, *, is_running: bool) -> None:
        if said.start != latest.start and not is_running:
            self._act(latest.window, lambda each, at: moved(each, said.start, said.end, at))
        elif said.end > latest.end:
            self._act(latest.window, lambda each, at: extended(each, said.end, at))
        elif said.end <= self._now:
            self._act(latest.window, completed)
        elif said.end < latest.end:
            self._act(latest.window, lambda each, at: shortened(each, said.end, at))

    def _gone(self, entry: Entry) -> None:
        if is_open(self._desk.latest[entry.window], self._now):
            self._act(entry.window, cancelled)
        self._desk.enter(replace(entry, is_off=True))

    def _act(self, window: str, change: Change) -> None:
        self._made.append(self._desk.change(window, change, self._author))

    def _enter(self, said: Said, window: str) -> None:
        start, end, is_off, scope, reason, emergency = _facts(said)
        self._desk.enter(
            Entry(self._calendar, said.uid, said.recurrence, said.sequence, start, end, is_off, scope, reason, window,
                  emergency)
        )  # fmt: skip


def _facts(said: Said | Entry) -> tuple[Instant, Instant, bool, tuple[str, ...], str, bool]:
    return said.start, said.end, said.is_off, said.scope, said.reason, said.emergency
