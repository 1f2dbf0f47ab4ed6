"""The register of maintenance windows: announcements are added, never changed and never removed.

The collector stamps each one with its own clock; stamps of one register always grow, so that the order of versions
is never in doubt. SQLite beside the store, synced at each change.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from outrider.clock import Clock
from outrider.core.maintenance import Act, Announcement, histories
from outrider.core.units import DAY, Duration, Instant
from outrider.core.window_acts import ActError, cancelled, completed
from outrider_collector.register_file import one_transaction, open_register
from outrider_collector.store import StoreFailedError

T = TypeVar("T")

LONGEST: Duration = 400 * DAY
_LONGEST_TEXT = 4000
"""Of a reason or an author: what is recorded stays, and an export of it has to be readable again."""
_LAST_START: Instant = 2**57  # in the year 6537

# REPLACE removes a row of the same number without asking the triggers on removal, so each insert is asked whose place
# it takes; a number that SQLite has yet to give is none. Older files get these triggers when they are opened.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS announcements (
    "window" TEXT NOT NULL, version INTEGER NOT NULL, act TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL UNIQUE, scope TEXT NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL,
    emergency INTEGER NOT NULL DEFAULT 0, PRIMARY KEY ("window", version));
CREATE TRIGGER IF NOT EXISTS announcements_stay BEFORE DELETE ON announcements
    BEGIN SELECT RAISE(ABORT, 'announcements are never removed'); END;
CREATE TRIGGER IF NOT EXISTS announcements_stand BEFORE UPDATE ON announcements
    BEGIN SELECT RAISE(ABORT, 'announcements are never changed'); END;
CREATE TRIGGER IF NOT EXISTS announcements_follow BEFORE INSERT ON announcements
    WHEN NEW.recorded_at <= (SELECT max(recorded_at) FROM announcements) OR EXISTS (
        SELECT 1 FROM announcements a WHERE a."window" = NEW."window" AND a.version = NEW.version)
    BEGIN SELECT RAISE(ABORT, 'announcements are never replaced and never backdated'); END;
CREATE TRIGGER IF NOT EXISTS announcements_keep_their_place BEFORE INSERT ON announcements
    WHEN NEW.rowid > 0 AND EXISTS (SELECT 1 FROM announcements a WHERE a.rowid = NEW.rowid)
    BEGIN SELECT RAISE(ABORT, 'announcements are never replaced'); END;
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, calendar TEXT NOT NULL, uid TEXT NOT NULL, recurrence TEXT NOT NULL,
    sequence INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, is_off INTEGER NOT NULL,
    scope TEXT NOT NULL, reason TEXT NOT NULL, "window" TEXT NOT NULL, emergency INTEGER NOT NULL DEFAULT 0);
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
CREATE TRIGGER IF NOT EXISTS entries_stand BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER IF NOT EXISTS entries_keep_their_place BEFORE INSERT ON entries
    WHEN NEW.number > 0 AND EXISTS (SELECT 1 FROM entries e WHERE e.number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'entries are never replaced'); END;
"""

# Files from before there was such a column; what they hold was announced as planned.
_ADD_EMERGENCY = "ALTER TABLE {} ADD COLUMN emergency INTEGER NOT NULL DEFAULT 0"

Change = Callable[[Announcement, Instant], Announcement]
"""A window's latest version and the stamp of the next one -> the next one. Raises ActError."""


class WindowError(ValueError):
    """An announcement that cannot be meant; the message says why, `field` what of it. Nothing was recorded."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Entry:
    """What a calendar said of a window when it last said anything new."""

    calendar: str
    uid: str
    recurrence: str
    sequence: int
    start: Instant
    end: Instant
    is_off: bool
    scope: tuple[str, ...]
    reason: str
    window: str
    emergency: bool = False


class UnknownWindowError(WindowError):
    """There is no such window."""


@dataclass(frozen=True, slots=True)
class NewWindow:
    """What is announced."""

    start: Instant
    end: Instant
    scope: tuple[str, ...] = ("*",)
    reason: str = ""
    author: str = ""
    emergency: bool = False


class _TrialOverError(Exception):
    """Takes a trial's records back."""


class WindowRegister:
    """Safe to use from several threads. Raises StoreFailedError where the file cannot be opened, read or written."""

    def __init__(self, path: Path, clock: Clock, earliest: Callable[[], Instant] = lambda: 0) -> None:
        """`earliest` gives the first instant that no statement was made as of: stamps do not come before it."""
        self._earliest = earliest
        self._clock = clock
        self._lock = threading.Lock()
        self._database = open_register(path, _SCHEMA, _add_emergency)

    def announce(
        self, start: Instant, end: Instant, *, scope: tuple[str, ...] = ("*",), reason: str = "", author: str = ""
    ) -> Announcement:
        """Record a new window. Raises WindowError."""
        (made,) = self.announce_all([NewWindow(start, end, scope, reason, author)])
        return made

    def announce_all(self, wanted: Sequence[NewWindow]) -> tuple[Announcement, ...]:
        """Record new windows, all of them or none. Raises WindowError."""
        with self._lock, one_transaction(self._database, self._ask):
            return tuple(self._announce(each) for each in wanted)

    def complete(self, window: str, author: str = "") -> Announcement:
        """End a window that runs, now. Raises WindowError."""
        return self.change(window, completed, author=author)

    def cancel(self, window: str, author: str = "") -> Announcement:
        """Take a window back. Raises WindowError."""
        return self.change(window, cancelled, author=author)

    def change(self, window: str, change: Change, *, author: str = "", reason: str | None = None) -> Announcement:
        """Record the next version of a window. `reason` stays as it was where it is None. Raises WindowError."""
        with self._lock, one_transaction(self._database, self._ask):
            known = histories(self._read(2**62)).get(window)
            if known is None:
                raise UnknownWindowError(f"there is no window {window!r}; `outrider window list` shows them")
            return self._change(known[-1], change, author, reason)

    def together(self, work: Callable[[Desk], T], *, is_trial: bool = False) -> T:
        """Let `work` record whatever it does, all of it or none; nothing of it stays if it is a trial. Raises what it
        raises, and WindowError."""
        with self._lock:
            try:
                with one_transaction(self._database, self._ask):
                    made = work(Desk(self))
                    if is_trial:
                        raise _TrialOverError
            except _TrialOverError:
                pass
            return made

    def history(self, window: str) -> tuple[Announcement, ...]:
        """Every version of a window, in order of recording. Raises UnknownWindowError."""
        known = histories(self.announcements())
        if window not in known:
            raise UnknownWindowError(f"there is no window {window!r}; `outrider window list` shows them")
        return known[window]

    def announcements(self, as_of: Instant | None = None) -> tuple[Announcement, ...]:
        """Every announcement recorded by an instant, in order of recording."""
        with self._lock:
            return self._read(2**62 if as_of is None else as_of)

    def _read(self, as_of: Instant) -> tuple[Announcement, ...]:
        rows = self._ask(
            'SELECT "window", version, act, start, "end", recorded_at, scope, reason, author, emergency '
            "FROM announcements "
            "WHERE recorded_at <= ? ORDER BY recorded_at",
            (as_of,),
        )
        return tuple(
            Announcement(
                window, version, Act(act), start, end, recorded_at, tuple(json.loads(scope)), reason, author,
                bool(emergency),
            )
            for window, version, act, start, end, recorded_at, scope, reason, author, emergency in rows
        )  # fmt: skip

    def close(self) -> None:
        with self._lock:  # not under somebody's transaction
            self._database.close()

    def _announce(self, wanted: NewWindow) -> Announcement:
        _refuse_unshowable(wanted.start, wanted.end)
        try:
            made = Announcement(
                f"w-{secrets.token_hex(4)}", 1, Act.ANNOUNCE, wanted.start, wanted.end, self._stamp(),
                wanted.scope, wanted.reason, wanted.author, wanted.emergency,
            )  # fmt: skip
        except ValueError as error:
            raise WindowError(str(error), "end" if wanted.scope else "scope") from None
        return self._record(made)

    def _change(self, latest: Announcement, change: Change, author: str, reason: str | None) -> Announcement:
        try:
            following = change(latest, self._stamp())
        except ActError as error:
            raise WindowError(str(error), error.field) from None
        _refuse_unshowable(following.start, following.end)
        return self._record(replace(following, author=author, reason=following.reason if reason is None else reason))

    def _stamp(self) -> Instant:
        ((latest,),) = self._ask("SELECT COALESCE(max(recorded_at), 0) FROM announcements")
        return max(self._clock.now(), int(latest) + 1, self._earliest())

    def _record(self, made: Announcement) -> Announcement:
        for field, text in (("reason", made.reason), ("author", made.author)):
            if len(text) > _LONGEST_TEXT:
                raise WindowError(f"the {field} has at most {_LONGEST_TEXT} characters", field)
        self._ask(
            'INSERT INTO announcements ("window", version, act, start, "end", recorded_at, scope, reason, author, '
            "emergency) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (made.window, made.version, made.act, made.start, made.end, made.recorded_at, json.dumps(made.scope),
             made.reason, made.author, made.emergency),
        )  # fmt: skip
        return made

    def _ask(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.IntegrityError:
            raise WindowError("the window was changed by somebody else just now; look again") from None
        except sqlite3.Error as error:
            raise StoreFailedError(f"the register of windows failed: {error}") from error


class Desk:
    """The register while a calendar is recorded; valid within `WindowRegister.together` alone."""

    def __init__(self, register: WindowRegister) -> None:
        self._register = register
        self.latest = {window: history[-1] for window, history in histories(register._read(2**62)).items()}

    def now(self) -> Instant:
        """The stamp that the next version would get."""
        return self._register._stamp()

    def announce(self, wanted: NewWindow) -> Announcement:
        return self._keep(self._register._announce(wanted))

    def change(self, window: str, change: Change, author: str) -> Announcement:
        return self._keep(self._register._change(self.latest[window], change, author, None))

    def _keep(self, made: Announcement) -> Announcement:
        self.latest[made.window] = made
        return made

    def entries(self, calendar: str) -> dict[tuple[str, str], Entry]:
        """What a calendar said last of each of its events, by UID and recurrence."""
        rows = self._register._ask(
            'SELECT calendar, uid, recurrence, sequence, start, "end", is_off, scope, reason, "window", emergency '
            "FROM entries WHERE calendar = ? ORDER BY number",
            (calendar,),
        )
        return {
            (uid, recurrence): Entry(
                name, uid, recurrence, sequence, start, end, bool(is_off), tuple(json.loads(scope)), reason, window,
                bool(emergency),
            )
            for name, uid, recurrence, sequence, start, end, is_off, scope, reason, window, emergency in rows
        }  # fmt: skip

    def enter(self, entry: Entry) -> None:
        """Keep what a calendar said."""
        self._register._ask(
            'INSERT INTO entries (calendar, uid, recurrence, sequence, start, "end", is_off, scope, reason, "window", '
            "emergency) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (entry.calendar, entry.uid, entry.recurrence, entry.sequence, entry.start, entry.end, entry.is_off,
             json.dumps(entry.scope), entry.reason, entry.window, entry.emergency),
        )  # fmt: skip


def _add_emergency(database: sqlite3.Connection) -> None:
    for table in ("announcements", "entries"):
        columns = {name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")}
        if "emergency" not in columns:
            database.execute(_ADD_EMERGENCY.format(table))


def _refuse_unshowable(start: Instant, end: Instant) -> None:
    """What was recorded cannot be taken out again, so nothing comes in that no statement could show."""
    if not 0 <= start <= _LAST_START or end - start > LONGEST:
        field = "start" if not 0 <= start <= _LAST_START else "end"
        raise WindowError(f"a window starts after 1970 and is at most {LONGEST // DAY} days long", field)
