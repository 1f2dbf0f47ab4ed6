"""The register of check sets: what operators signed and published is added, never changed and never removed.

Versions only grow. The collector keeps no key, and hands out what it was given: agents believe whoever signed. Beside
the sets stands what each agent said of them last. SQLite beside the store, synced at each change.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from outrider.clock import Clock
from outrider.codecs.check_sets import Audience, SignedSet, Taken, is_signed
from outrider.core.units import Instant
from outrider.strict_yaml import ConfigError, load
from outrider_collector.store import StoreFailedError

MOST_AGENTS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sets (
    version INTEGER PRIMARY KEY, text TEXT NOT NULL, key TEXT NOT NULL, signature TEXT NOT NULL,
    digest TEXT NOT NULL, published_at INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS sets_stay BEFORE DELETE ON sets
    BEGIN SELECT RAISE(ABORT, 'check sets are never removed'); END;
CREATE TRIGGER IF NOT EXISTS sets_stand BEFORE UPDATE ON sets
    BEGIN SELECT RAISE(ABORT, 'check sets are never changed'); END;
CREATE TRIGGER IF NOT EXISTS sets_grow BEFORE INSERT ON sets
    WHEN NEW.version <= (SELECT max(version) FROM sets)
    BEGIN SELECT RAISE(ABORT, 'versions of check sets only grow'); END;
CREATE TABLE IF NOT EXISTS taken (
    agent TEXT PRIMARY KEY, region TEXT NOT NULL, version INTEGER NOT NULL, refused INTEGER NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, told_at INTEGER NOT NULL);
"""


class PublishError(ValueError):
    """A set that is not added. `is_conflict`: another one of that version, or a later one, is there."""

    def __init__(self, message: str, *, is_conflict: bool = False) -> None:
        super().__init__(message)
        self.is_conflict = is_conflict


class _Addressed(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a set as says whom it is for; the rest is between its author and the agents."""

    audience: Audience = msgspec.field(default=Audience(), name="for")


@dataclass(frozen=True, slots=True)
class Published:
    """A set without its text."""

    version: int
    audience: Audience
    key: str
    digest: str
    published_at: Instant


def audience_of(text: str) -> Audience:
    """Whom a set's text is for. Raises ConfigError."""
    return load(text, _Addressed, file="check set", expand=False).value.audience


class CheckSetRegister:
    """Safe to use from several threads. Raises StoreFailedError where the file cannot be opened, read or written."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise StoreFailedError(f"cannot open {path}: {error}") from error
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
            rows = self._database.execute("SELECT version, text, key, digest, published_at FROM sets ORDER BY version")
            self._published = [
                Published(version, audience_of(text), key, digest, at) for version, text, key, digest, at in rows
            ]
        except (sqlite3.Error, ConfigError) as error:
            self._database.close()
            raise StoreFailedError(f"cannot open {path}: {error}") from error

    def publish(self, signed: SignedSet) -> Published:
        """Add a set; one that is there already is left as it is. Raises PublishError."""
        try:
            audience = audience_of(signed.text)
        except ConfigError as error:
            raise PublishError(str(error)) from None
        if not is_signed(signed):
            raise PublishError("the signature is not that of the key over this version and text")
        with self._lock:
            newest = self._published[-1] if self._published else None
            if newest is not None and signed.version <= newest.version:
                if signed.digest == newest.digest:
                    return newest
                told = f"version {signed.version} is not above {newest.version}, the newest one; versions only grow"
                raise PublishError(told, is_conflict=True)
            made = Published(signed.version, audience, signed.key, signed.digest, self._clock.now())
            self._write(
                "INSERT INTO sets VALUES (?, ?, ?, ?, ?, ?)",
                (signed.version, signed.text, signed.key, signed.signature, made.digest, made.published_at),
            )
            self._published.append(made)
            return made

    def published(self) -> tuple[Published, ...]:
        """Every set, the oldest first."""
        return tuple(self._published)

    def current(self, agent: str, region: str) -> Published | None:
        """The newest set for an agent."""
        return next((each for each in reversed(self.published()) if each.audience.has(agent, region)), None)

    def signed(self, version: int) -> SignedSet | None:
        """A set as it was published."""
        with self._lock:
            try:
                query = "SELECT version, text, key, signature FROM sets WHERE version = ?"
                row = self._database.execute(query, (version,)).fetchone()
            except sqlite3.Error as error:
                raise StoreFailedError(f"cannot read the check sets: {error}") from error
        return None if row is None else SignedSet(version=row[0], text=row[1], key=row[2], signature=row[3])

    def note(self, taken: Taken) -> bool:
        """Keep what an agent says; False where so many agents have spoken that there is no room for another."""
        values = (taken.agent, taken.region, taken.version, taken.refused, taken.reason, taken.detail)
        with self._lock:
            return self._write(
                "INSERT INTO taken SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM taken) < ? "
                "OR EXISTS (SELECT 1 FROM taken WHERE agent = ?) ON CONFLICT (agent) DO UPDATE SET "
                "region = excluded.region, version = excluded.version, refused = excluded.refused, "
                "reason = excluded.reason, detail = excluded.detail, told_at = excluded.told_at",
                (*values, self._clock.now(), MOST_AGENTS, taken.agent),
            )

    def taken(self) -> tuple[tuple[Taken, Instant], ...]:
        """What each agent said last, and when, by name."""
        with self._lock:
            try:
                query = "SELECT agent, region, version, refused, reason, detail, told_at FROM taken ORDER BY agent"
                rows = self._database.execute(query).fetchall()
            except sqlite3.Error as error:
                raise StoreFailedError(f"cannot read the check sets: {error}") from error
        return tuple(
            (Taken(agent=row[0], region=row[1], version=row[2], refused=row[3], reason=row[4], detail=row[5]), row[6])
            for row in rows
        )

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _write(self, statement: str, values: tuple[object, ...]) -> bool:
        try:
            return self._database.execute(statement, values).rowcount > 0
        except sqlite3.Error as error:
            raise StoreFailedError(f"cannot record the check set: {error}") from error
