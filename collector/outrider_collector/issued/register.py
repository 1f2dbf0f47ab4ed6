"""The register of issued statements: SQLite beside the windows, added to and never changed, synced at each change.

Rows have no row id of SQLite's own, under which one could be replaced, and the database itself refuses to change or
remove them, to leave a number out and to date one back. Whoever takes that out of the file is found by the seals.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from outrider.clock import Clock
from outrider.core.units import Instant
from outrider_collector.issued import Confirmation, Revision
from outrider_collector.register_file import one_transaction, open_register
from outrider_collector.store import StoreFailedError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS revisions (
    period TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    as_of INTEGER NOT NULL, ledger INTEGER NOT NULL, verdict TEXT NOT NULL, sha256 TEXT NOT NULL, terms TEXT NOT NULL,
    terms_sha256 TEXT NOT NULL, software TEXT NOT NULL, timezone_data TEXT NOT NULL, author TEXT NOT NULL,
    issued_at INTEGER NOT NULL UNIQUE, why TEXT NOT NULL, statement BLOB NOT NULL,
    PRIMARY KEY (period, number)) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS revisions_stay BEFORE DELETE ON revisions
    BEGIN SELECT RAISE(ABORT, 'issued statements are never removed'); END;
CREATE TRIGGER IF NOT EXISTS revisions_stand BEFORE UPDATE ON revisions
    BEGIN SELECT RAISE(ABORT, 'issued statements are never changed'); END;
CREATE TRIGGER IF NOT EXISTS revisions_follow BEFORE INSERT ON revisions
    WHEN NEW.number <> (SELECT count(*) + 1 FROM revisions WHERE period = NEW.period)
        OR NEW.issued_at <= (SELECT max(issued_at) FROM revisions)
    BEGIN SELECT RAISE(ABORT, 'issued statements are never replaced and never backdated'); END;
CREATE TABLE IF NOT EXISTS confirmations (
    period TEXT NOT NULL, number INTEGER NOT NULL, as_of INTEGER NOT NULL, ledger INTEGER NOT NULL,
    terms_sha256 TEXT NOT NULL, PRIMARY KEY (period, number, as_of)) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS confirmations_stay BEFORE DELETE ON confirmations
    BEGIN SELECT RAISE(ABORT, 'confirmations are never removed'); END;
CREATE TRIGGER IF NOT EXISTS confirmations_stand BEFORE UPDATE ON confirmations
    BEGIN SELECT RAISE(ABORT, 'confirmations are never changed'); END;
CREATE TRIGGER IF NOT EXISTS confirmations_follow BEFORE INSERT ON confirmations
    WHEN NEW.as_of <= (SELECT max(as_of) FROM confirmations WHERE period = NEW.period AND number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'confirmations are never replaced and never backdated'); END;
"""
_NAMES = tuple(each.name for each in fields(Revision))
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)


class UnknownRevisionError(ValueError):
    """There is no such issued statement."""


class IssuedRegister:
    """Safe to use from several threads. Raises StoreFailedError where the file cannot be opened, read or written."""

    def __init__(self, path: Path, clock: Clock, earliest: Callable[[], Instant] = lambda: 0) -> None:
        """`earliest` gives the first instant that no statement or seal was made as of: stamps do not come before it."""
        self._clock, self._earliest = clock, earliest
        self._lock = threading.Lock()
        self._database = open_register(path, _SCHEMA)

    def add(self, revision: Revision, statement: bytes) -> Revision:
        """Record a statement with its text; the same revision with the register's stamp in `issued_at`."""
        with self._lock, one_transaction(self._database, self._ask):
            ((latest,),) = self._ask("SELECT COALESCE(max(issued_at), 0) FROM revisions")
            stamp = max(self._clock.now(), revision.as_of, int(latest) + 1, self._earliest())
            made = replace(revision, issued_at=stamp)
            values = [getattr(made, name) for name in _NAMES[:-1]]
            self._ask(
                f"INSERT INTO revisions ({_COLUMNS}, statement) VALUES ({', '.join('?' * (len(_NAMES) + 1))})",
                (*values, json.dumps(made.why, ensure_ascii=False), zlib.compress(statement)),
            )
            return made

    def confirm(self, revision: Revision, seen: Confirmation) -> None:
        """Record that a revision still says the same."""
        with self._lock, one_transaction(self._database, self._ask):
            row = (revision.period, revision.number, seen.as_of, seen.ledger, seen.terms_sha256)
            self._ask("INSERT INTO confirmations VALUES (?, ?, ?, ?, ?)", row)

    def revisions(self, by: Instant = 2**62) -> tuple[Revision, ...]:
        """Every statement issued by an instant, in order of issue."""
        with self._lock:
            rows = self._ask(f"SELECT {_COLUMNS} FROM revisions WHERE issued_at <= ? ORDER BY issued_at", (by,))
        return tuple(_revision(row) for row in rows)

    def newest(self, period: str) -> Revision | None:
        """The last revision of a period; None where none was issued."""
        with self._lock:
            asked = f"SELECT {_COLUMNS} FROM revisions WHERE period = ? ORDER BY number DESC LIMIT 1"
            rows = self._ask(asked, (period,))
        return _revision(rows[0]) if rows else None

    def revision(self, period: str, number: int) -> Revision:
        """One issued statement. Raises UnknownRevisionError."""
        with self._lock:
            asked = f"SELECT {_COLUMNS} FROM revisions WHERE period = ? AND number = ?"
            rows = self._ask(asked, (period, number)) if 0 < number < 2**62 else []
        if not rows:
            raise UnknownRevisionError(
                f"revision {number} of {period!r} was not issued; `outrider report --revisions` lists what was"
            )
        return _revision(rows[0])

    def text(self, revision: Revision) -> bytes:
        """The statement as it was issued, canonical JSON."""
        with self._lock:
            asked = "SELECT statement FROM revisions WHERE period = ? AND number = ?"
            ((packed,),) = self._ask(asked, (revision.period, revision.number))
        try:
            return zlib.decompress(packed)
        except zlib.error as error:
            raise StoreFailedError(f"the text of {revision.period} r{revision.number} is damaged: {error}") from None

    def confirmed(self, revision: Revision) -> Confirmation:
        """Up to where a revision was last found to say the same: its own facts, if it was not looked at since."""
        with self._lock:
            rows = self._ask(
                "SELECT as_of, ledger, terms_sha256 FROM confirmations WHERE period = ? AND number = ? "
                "ORDER BY as_of DESC LIMIT 1",
                (revision.period, revision.number),
            )
        own = Confirmation(revision.as_of, revision.ledger, revision.terms_sha256)
        return Confirmation(*rows[0]) if rows else own

    def last_as_of(self) -> Instant:
        """The latest instant that a statement was issued, or found to stand, as of; 0 if none was."""
        with self._lock:
            every = "SELECT as_of FROM revisions UNION ALL SELECT as_of FROM confirmations"
            ((latest,),) = self._ask(f"SELECT COALESCE(max(as_of), 0) FROM ({every})")
            return int(latest)

    def close(self) -> None:
        with self._lock:  # not under somebody's transaction
            self._database.close()

    def _ask(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreFailedError(f"the register of issued statements failed: {error}; nothing was issued") from error


def _revision(row: tuple[Any, ...]) -> Revision:
    return replace(Revision(*row), why=tuple(json.loads(row[-1])))
