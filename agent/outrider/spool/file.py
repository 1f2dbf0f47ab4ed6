"""The spool's SQLite file: what is kept, how it is checked, and what goes when the quota is reached.

Rules
-----
1. A record's digest is written beside it and checked when it is read: a flipped bit is found, and costs that record.
2. The quota is hard. When it is reached, delivered records go first, then dead letters, then the oldest ones that
   wait, good and bad alike; every drop is counted.
3. A damaged file is set aside, never deleted, and a new one begins a new epoch: the agent starts. Trouble around a
   sound file (no rights, no room, another program's lock) is told instead, since the file can still be delivered.
4. Sequence numbers are never used twice within an epoch.
5. One process at a time: the second one is told who is there.

Not safe for threads: one thread uses it (see `outrider.spool.outbox`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections import Counter
from pathlib import Path
from typing import IO

from outrider.clock import Clock
from outrider.core.units import MINUTE, Duration, Instant
from outrider.core.wire import Entry, digest

PAGE_BYTES = 4096
DEFAULT_QUOTA = 256 * 10**6
_LEAST_PAGES = 64
_DROP_AT_ONCE = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, body BLOB NOT NULL, appended_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dead_letters (
    seq INTEGER PRIMARY KEY, digest TEXT NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL);
"""
# Rule 4 rests on more than one number, since any of them can be damaged.
_LAST_SEQ = """SELECT max(COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0),
    COALESCE((SELECT max(seq) FROM records), 0))"""
# Read as bytes whatever their columns' types have become, so that damage meets the digest and nothing before it.
_READ = """SELECT seq, CAST(digest AS BLOB), COALESCE(CAST(body AS BLOB), x'') FROM records
    WHERE seq > ? ORDER BY seq LIMIT ?"""
_UPSERT_FACT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_UPSERT_COUNT = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT)


class SpoolError(Exception):
    """The spool cannot be used; the message says why and what to do."""


class _DamagedError(Exception):
    """The file is no spool, or no longer a sound one."""


class SpoolFile:
    """An open spool. Everything but `close` happens inside `begin` ... `commit` or `roll_back`.

    `counts` are this epoch's totals: scheduled, skipped, recorded, lost_in_flight, delivered, dropped_quota,
    dropped_unwritable, dropped_corrupt, dead_lettered.
    """

    def __init__(self, path: Path, *, agent: str, clock: Clock, quota: int, retention: Duration) -> None:
        self.path = path
        self.agent = agent
        self.epoch = ""
        self.acknowledged = 0
        self.counts: Counter[str] = Counter()
        self.set_aside: Path | None = None
        self._clock = clock
        self._quota = quota
        self._retention = retention
        self._purged_at: Instant = 0
        self._kept = Counter[str](), 0, ""
        self._lock = _lock(path)
        try:
            self._open()
        except BaseException:
            self._lock.close()
            raise

    # --- transactions --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._kept = Counter(self.counts), self.acknowledged, self.epoch
        self._database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Write the totals and sync. After an error the caller rolls back."""
        self._database.executemany(_UPSERT_COUNT, list(self.counts.items()))
        self.set_fact("acknowledged", str(self.acknowledged))
        self._database.execute("COMMIT")

    def roll_back(self) -> None:
        self.counts, self.acknowledged, self.epoch = Counter(self._kept[0]), *self._kept[1:]
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def close(self) -> None:
        self._database.close()
        self._lock.close()

    # --- records -------------------------------------------------------------------------------------------------

    def append(self, body: bytes) -> int:
        seq = max(int(self._database.execute(_LAST_SEQ).fetchone()[0]), self.acknowledged) + 1
        self._database.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?)",
            (seq, digest(self.agent, self.epoch, seq, body), body, self._clock.now()),
        )
        self.counts["recorded"] += 1
        return seq

    def read(self, most: int, most_bytes: int) -> tuple[Entry, ...]:
        """The oldest records that wait; damaged ones are set aside on the way (rule 1)."""
        entries: list[Entry] = []
        size = 0
        for seq, written, body in self._database.execute(_READ, (self.acknowledged, most)).fetchall():
            found = digest(self.agent, self.epoch, seq, body)
            if found.encode() != written:
                self.put_aside(seq, "its digest does not match: the file was damaged", "dropped_corrupt")
                continue
            size += len(body)
            if entries and size > most_bytes:
                break
            entries.append(Entry(seq, found, body))
        return tuple(entries)

    def acknowledge(self, high_water: int) -> None:
        """Every record up to this seq is delivered; the mark never passes a record that was not appended yet."""
        delivered, last = self._database.execute(
            "SELECT count(*), COALESCE(max(seq), 0) FROM records WHERE seq > ? AND seq <= ?",
            (self.acknowledged, high_water),
        ).fetchone()
        self.counts["delivered"] += delivered
        self.acknowledged = max(self.acknowledged, last)
        now = self._clock.now()
        if now - self._purged_at > MINUTE:
            self._purged_at = now
            self._database.execute(
                "DELETE FROM records WHERE seq <= ? AND appended_at < ?", (self.acknowledged, now - self._retention)
            )

    def put_aside(self, seq: int, reason: str, count: str) -> None:
        """Move one record that waits to the dead letters and count it under `count`."""
        if seq <= self.acknowledged:
            return
        moved = self._database.execute(
            "INSERT OR REPLACE INTO dead_letters SELECT seq, digest, body, ?, ? FROM records WHERE seq = ?",
            (reason, self._clock.now(), seq),
        ).rowcount
        self._database.execute("DELETE FROM records WHERE seq = ?", (seq,))
        self.counts[count] += moved

    def make_room(self) -> None:
        """Rule 2: delivered records first, then dead letters, which were counted before, then the oldest that wait."""
        if self._delete_oldest("records", "seq <= ?", self.acknowledged) or self._delete_oldest("dead_letters"):
            return
        self.counts["dropped_quota"] += self._delete_oldest("records", "seq > ?", self.acknowledged)

    def _delete_oldest(self, table: str, where: str = "TRUE", *bounds: int) -> int:
        oldest = f"SELECT seq FROM {table} WHERE {where} ORDER BY seq LIMIT {_DROP_AT_ONCE}"
        return self._database.execute(f"DELETE FROM {table} WHERE seq IN ({oldest})", bounds).rowcount

    def renumber(self) -> None:
        """Begin a new epoch with what waits and with the runs that are under way; the old one's totals end with it."""
        under_way = self._under_way()
        waiting = self._database.execute(
            "SELECT body FROM records WHERE seq > ? ORDER BY seq", (self.acknowledged,)
        ).fetchall()
        for table in ("records", "counts", "sqlite_sequence"):
            self._database.execute(f"DELETE FROM {table}")
        self.counts, self.acknowledged = Counter(), 0
        self._new_epoch()
        for (body,) in waiting:
            self.append(body)
        self.counts["scheduled"] = self.counts["recorded"] + under_way

    # --- facts ---------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        found = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set_fact(self, name: str, value: str) -> None:
        self._database.execute(_UPSERT_FACT, (name, value))

    def _new_epoch(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.set_fact("epoch", self.epoch)

    # --- opening -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            try:
                self._connect()
            except _DamagedError:
                self.set_aside = _set_file_aside(self.path, self._clock.now())
                self._connect()
        except (sqlite3.Error, OSError, _DamagedError) as error:
            raise SpoolError(f"cannot use {self.path}: {error}; what is in it was left as it is") from error

    def _connect(self) -> None:
        if self.path.is_dir():
            raise _DamagedError("it is a directory")
        self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._database.close()
            if _is_damage(error):
                raise _DamagedError(str(error)) from error
            raise
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(f"PRAGMA max_page_count = {max(self._quota // PAGE_BYTES, _LEAST_PAGES)}")
        if self._database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise _DamagedError("the file is damaged")
        self._database.executescript(_SCHEMA)
        self._load()

    def _load(self) -> None:
        owner = self.fact("agent")
        if owner not in (None, self.agent):
            raise SpoolError(
                f"{self.path} belongs to agent {owner!r}, not {self.agent!r}; give each agent a spool of its own"
            )
        self.begin()
        if owner is None:
            self.set_fact("agent", self.agent)
            self._new_epoch()
        else:
            self._load_totals()
            self.counts["lost_in_flight"] += self._under_way()
        self.commit()

    def _load_totals(self) -> None:
        try:
            self.epoch, self.acknowledged = self.fact("epoch") or "", int(self.fact("acknowledged") or 0)
            if not self.epoch:
                raise ValueError("there is no epoch")
            totals = dict(self._database.execute("SELECT name, value FROM counts").fetchall())
            self.counts = Counter({str(name): int(value) for name, value in totals.items()})
        except (ValueError, TypeError) as error:
            raise _DamagedError(f"its totals cannot be read: {error}") from error

    def _under_way(self) -> int:
        """Runs that have begun and not ended; after a process that ended without saying goodbye they are lost."""
        known = ("skipped", "recorded", "dropped_unwritable", "lost_in_flight")
        return max(0, self.counts["scheduled"] - sum(self.counts[name] for name in known))


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is unsound, rather than the place where it lies."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in _DAMAGE or code in (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)


def _lock(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(f"{path}.lock", "a+", encoding="utf-8")  # noqa: SIM115 - held open as long as the spool is
    except OSError as error:
        raise SpoolError(f"cannot make {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read(20).strip() or "unknown"
        file.close()
        raise SpoolError(f"{path} is in use by process {owner}; give each agent a spool of its own") from None
    with contextlib.suppress(OSError):  # a courtesy to whoever comes second; on a full disk there is none
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    return file


def _set_file_aside(path: Path, now: Instant) -> Path:
    """Rename the file and what SQLite keeps beside it; never delete (rule 3)."""
    while (aside := path.with_name(f"{path.name}.set-aside-{now}")).exists():
        now += 1
    for suffix in ("", "-wal", "-shm"):
        if (own := Path(f"{path}{suffix}")).exists():
            own.rename(f"{aside}{suffix}")
    return aside
