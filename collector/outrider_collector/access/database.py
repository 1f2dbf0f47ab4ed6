"""The file of the access register: SQLite beside the store, for its owner alone, synced at each change.

Several processes may have it open: the collector, and an operator's command on the same machine.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from outrider.clock import Clock
from outrider.core.units import Instant
from outrider_collector.access import AccessError, By, Deed
from outrider_collector.store import StoreFailedError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS enrolments (
    hash BLOB PRIMARY KEY, agent TEXT NOT NULL, region TEXT NOT NULL, issued_by TEXT NOT NULL, created INTEGER NOT NULL,
    expires INTEGER NOT NULL, used_at INTEGER, used_from TEXT);
CREATE TABLE IF NOT EXISTS credentials (
    key TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, agent TEXT NOT NULL, region TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, first_used INTEGER, last_used INTEGER, revoked_at INTEGER);
CREATE INDEX IF NOT EXISTS credentials_by_agent ON credentials (agent);
CREATE TABLE IF NOT EXISTS people (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT, created INTEGER NOT NULL, disabled_at INTEGER);
CREATE TABLE IF NOT EXISTS tokens (
    key TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL REFERENCES people, role TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER NOT NULL, last_used INTEGER, revoked_at INTEGER);
CREATE TABLE IF NOT EXISTS sessions (
    hash BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES people, created INTEGER NOT NULL, last_used INTEGER NOT NULL,
    expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS deeds (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL,
    act TEXT NOT NULL, about TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deeds_by_who ON deeds (act, who, address);
CREATE TRIGGER IF NOT EXISTS deeds_stay BEFORE DELETE ON deeds
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER IF NOT EXISTS deeds_stand BEFORE UPDATE ON deeds
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER IF NOT EXISTS deeds_follow BEFORE INSERT ON deeds
    WHEN EXISTS (SELECT 1 FROM deeds d WHERE d.number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'a line of the audit log is never replaced'); END;
"""


class AccessDatabase:
    """Safe to use from several threads. Raises StoreFailedError where the file cannot be opened, read or written."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made by us before SQLite does: its other files get the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise StoreFailedError(f"cannot open {path}: {error}") from error
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._database.close()
            raise StoreFailedError(f"cannot open {path}: {error}") from error

    def now(self) -> Instant:
        return self._clock.now()

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock:
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it or none."""
        with self._lock:
            self.ask("BEGIN IMMEDIATE")
            try:
                yield
                self.ask("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # what went wrong first is what is told
                    if self._database.in_transaction:
                        self._database.execute("ROLLBACK")
                raise

    def ask(self, statement: str, *values: object) -> list[Any]:
        """Rows; within `reading` or `writing` alone."""
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.IntegrityError as error:
            raise AccessError(f"somebody else was faster: {error}") from None
        except sqlite3.Error as error:
            raise StoreFailedError(f"the access register failed: {error}") from error

    def note(self, by: By, act: str, about: str) -> None:
        """A line of the audit log; within `writing` alone."""
        self.ask(
            "INSERT INTO deeds (at, who, address, act, about) VALUES (?, ?, ?, ?, ?)",
            self.now(), by.who, by.address, act, about,
        )  # fmt: skip

    def keep_note(self, by: By, act: str, about: str) -> None:
        """A line of the audit log, alone."""
        with self.writing():
            self.note(by, act, about)

    def deeds(self, most: int) -> list[Deed]:
        """The latest lines of the audit log, oldest first."""
        with self.reading():
            rows = self.ask("SELECT number, at, who, address, act, about FROM deeds ORDER BY number DESC LIMIT ?", most)
        return [Deed(*row) for row in reversed(rows)]

    def close(self) -> None:
        with self._lock:  # not under somebody's transaction
            self._database.close()
