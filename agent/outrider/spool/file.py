"""The spool's SQLite file: what is kept, how it is checked, and what goes when the quota is reached.

Rules
-----
1. A record's digest is written beside it and checked when it is read: a flipped bit is found, and costs that record.
2. The quota is hard, and the write-ahead log is part of it. When it is reached, room is made (`room`), and every drop
   is counted. A log that cannot be folded in, since another program reads the file, stops the writing, counted too.
3. A damaged file is set aside, never deleted, and the agent starts: what can still be read of it is taken over, the
   rest is counted; where not even its totals can be read, a new epoch begins. Trouble around a sound file (no rights,
   no room, another program's lock) is told instead, since the file can still be delivered.
4. Sequence numbers are never used twice within an epoch. Control numbers go on after a restart; a new epoch begins
   with them where the clock says, away from those of a file that was lost.
5. One process at a time: the second one is told who is there.
6. What all records hang on (agent, epoch, mark, counts) is written twice, each time with its own digest: a flipped
   bit in one costs nothing.

Not safe for threads: one thread uses it (see `outrider.spool.outbox`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from outrider.clock import Clock
from outrider.core.units import MINUTE, Duration, Instant
from outrider.core.wire import Entry, Stamp, digest
from outrider.spool.place import SpoolError, is_damage, locked, set_file_aside
from outrider.spool.recall import Recalled, keep_stamps, recalled
from outrider.spool.room import SPARE_PAGES, STRIPS, Room, note_losses
from outrider.spool.salvage import Salvaged, salvaged
from outrider.spool.totals import NAMES, Totals, first_control_number, read_totals

PAGE_BYTES = 4096
DEFAULT_QUOTA = 256 * 10**6
LEAST_QUOTA = 128 * PAGE_BYTES
_LEAST_LOG, _MOST_LOG = 64 * PAGE_BYTES, 8 * 10**6
_AT_ONCE = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY, digest TEXT NOT NULL, body BLOB NOT NULL, appended_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dead_letters (
    seq INTEGER PRIMARY KEY, digest TEXT NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS earlier (seq INTEGER PRIMARY KEY, digests TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stamps (seq INTEGER PRIMARY KEY, recorded_at INTEGER NOT NULL, signature TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS losses (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL);
"""
_OF_AN_EPOCH = ("records", "earlier", "stamps", "losses")
# Read as bytes whatever their columns' types have become, so that damage meets the digest and nothing before it.
_COLUMNS = "seq, CAST(digest AS BLOB), COALESCE(CAST(body AS BLOB), x'')"
_READ = f"SELECT {_COLUMNS} FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
_READ_ONE = f"SELECT {_COLUMNS} FROM records WHERE seq = ? AND seq > ?"
_ROWS = "SELECT (SELECT count(*) FROM facts) + (SELECT count(*) FROM records)"
_UPSERT_FACT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class _DamagedError(Exception):
    """The file is no spool, or no longer a sound one."""


class SpoolFile:
    """An open spool. Everything but `close` happens inside `begin` ... `commit` or `roll_back`.

    `counts` are this epoch's totals: scheduled, skipped, recorded, lost_in_flight, delivered, dropped_quota,
    dropped_unwritable, dropped_corrupt, dead_lettered; beside them, of records that wait or went, stripped_details and
    stripped_phases, and resent.
    """

    def __init__(self, path: Path, *, agent: str, clock: Clock, quota: int, retention: Duration) -> None:
        self.path = path
        self.agent = agent
        self.epoch = ""
        self.acknowledged = 0
        self.counts: Counter[str] = Counter()
        self.set_aside: Path | None = None
        self._clock = clock
        quota = max(quota, LEAST_QUOTA)
        self._most_log = min(max(quota // 4, _LEAST_LOG), _MOST_LOG)
        self._most_pages = (quota - self._most_log) // PAGE_BYTES
        self._largest = quota // 4
        self._retention = retention
        self._purged_at: Instant = 0
        self.control_number = 1
        self._kept = Counter[str](), 0, "", 1
        self._written = ""
        self._lock = locked(path)
        try:
            self._open()
        except BaseException:
            self._lock.close()
            raise

    # --- transactions --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._kept = Counter(self.counts), self.acknowledged, self.epoch, self.control_number
        self._fold_log()
        self._database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Write the totals where they have changed, and sync. After an error the caller rolls back."""
        totals = Totals(self.agent, self.epoch, self.acknowledged, self.control_number, self.counts).sealed()
        if totals != self._written:
            self._database.executemany(_UPSERT_FACT, [(name, totals) for name in NAMES])
        self._database.execute("COMMIT")
        self._room.commit()
        self._written = totals

    def roll_back(self) -> None:
        self.counts, self.acknowledged, self.epoch, self.control_number = Counter(self._kept[0]), *self._kept[1:]
        self._room.roll_back()
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def _fold_log(self) -> None:
        """SQLite folds its log in by itself, unless somebody else holds on to it; then it grows without a bound."""
        if self._log_bytes() <= self._most_log:
            return
        self._database.execute("PRAGMA busy_timeout = 0")
        try:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.execute("PRAGMA busy_timeout = 5000")
        if self._log_bytes() > self._most_log:
            raise SpoolError(
                f"{self.path}: its log is at its limit of {self._most_log} bytes, and another program that reads the "
                "spool keeps it from being folded in; end that program"
            )

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        self._database.close()
        self._lock.close()

    # --- records -------------------------------------------------------------------------------------------------

    def append(self, body: bytes) -> int:
        if len(body) > self._largest:
            raise SpoolError(f"a record of {len(body)} bytes is more than a quarter of the spool's quota")
        if self._room.free_pages() < SPARE_PAGES + len(body) // PAGE_BYTES:
            raise sqlite3.OperationalError("the spool is full")
        return self._insert(body, self._clock.now())

    def _insert(self, body: bytes, at: Instant) -> int:
        seq = self.counts["recorded"] + 1
        self._database.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (seq, self._digest_here(seq, body), body, at))
        self.counts["recorded"] += 1
        return seq

    def read(self, most: int, most_bytes: int) -> tuple[Entry, ...]:
        """The oldest records that wait; damaged ones are set aside on the way (rule 1)."""
        entries: list[Entry] = []
        size = 0
        for seq, written, body in self._database.execute(_READ, (self.acknowledged, most)).fetchall():
            found = self._digest_here(seq, body)
            if found.encode() != written:
                self.put_aside(seq, "its digest does not match: the file was damaged", "dropped_corrupt")
                continue
            size += len(body)
            if entries and size > most_bytes:
                break
            entries.append(Entry(seq, found, body))
        return tuple(entries)

    def acknowledge(self, high_water: int, stamps: Sequence[Stamp] = ()) -> None:
        """Every record up to this seq is delivered; the mark never passes a record that was not appended yet."""
        delivered, last = self._database.execute(
            "SELECT count(*), COALESCE(max(seq), 0) FROM records WHERE seq > ? AND seq <= ?",
            (self.acknowledged, high_water),
        ).fetchone()
        self.counts["delivered"] += delivered
        self.acknowledged = max(self.acknowledged, last)
        keep_stamps(self._database, [each for each in stamps if each.seq <= self.acknowledged])
        now = self._clock.now()
        if abs(now - self._purged_at) > MINUTE:  # the clock may have been set back
            self._purge(now)

    def _purge(self, now: Instant) -> None:
        """Let go of what is older than the retention: so much at a time that the log stays small."""
        old = f"SELECT seq FROM records WHERE seq <= ? AND appended_at < ? ORDER BY seq LIMIT {_AT_ONCE}"
        gone = [seq for (seq,) in self._database.execute(old, (self.acknowledged, now - self._retention))]
        for table in ("records", "stamps", "earlier"):
            self._database.executemany(f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq in gone])
        if len(gone) < _AT_ONCE:
            self._purged_at = now

    def recall(self, gaps: Sequence[tuple[int, int]], most: int, most_bytes: int) -> Recalled:
        """What answers the collector's gaps; those of records that still wait are answered by sending them."""
        ours = [(first, min(last, self.acknowledged)) for first, last in gaps if first <= self.acknowledged]
        return recalled(self._database, self._digest_here, ours, most, most_bytes)

    def give_up(self, seq: int) -> None:
        """A delivered record that the collector asked for and cannot read now: it was counted, and is declared lost."""
        if self._database.execute("DELETE FROM records WHERE seq = ? AND seq <= ?", (seq, self.acknowledged)).rowcount:
            note_losses(self._database, [seq], "dead_lettered")

    def is_same(self, seq: int, known: str) -> bool:
        """Whether a digest, or how it begins, is that of a record at its place in any form that it has or had."""
        found = self._database.execute(_READ_ONE, (seq, self.acknowledged)).fetchone()
        if found is None or not known:
            return False
        (earlier,) = self._database.execute("SELECT digests FROM earlier WHERE seq = ?", (seq,)).fetchone() or ("",)
        forms = [found[1].decode("ascii", "replace"), *earlier.split()]
        body: bytes = found[2]
        for _, strip in STRIPS:
            body = strip(body) or body
            forms.append(self._digest_here(seq, body))
        return any(form.startswith(known) for form in forms)

    def put_aside(self, seq: int, reason: str, count: str) -> None:
        """Move one record that waits to the dead letters and count it under `count`."""
        found = self._database.execute(_READ_ONE, (seq, self.acknowledged)).fetchone()
        if found is None:
            return
        # Deleted first, so that a full spool has the room.
        for table in ("records", "earlier"):
            self._database.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
        self._database.execute(
            "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?)", (*found, reason, self._clock.now())
        )
        note_losses(self._database, [seq], "corrupt" if count == "dropped_corrupt" else "dead_lettered")
        self.counts[count] += 1

    def make_room(self, share: int = 1) -> None:
        """Rule 2. `share` doubles from one attempt to the next, until there is enough."""
        wanted = min(max(self._most_pages // 64, 2) * PAGE_BYTES * share, self._most_log // 2)
        # What did not help is not tried for ever: in the end slices go, which needs no room at all.
        enough, may_strip = (1 if share == 1 else wanted), share <= 16
        self.counts += self._room.make(self.acknowledged, wanted, enough, may_strip=may_strip)

    def renumber(self, first: int = 0) -> None:
        """Begin a new epoch with what waits from `first` on and with the runs that are under way; the old one's totals
        end with it. What waits before `first` must have gone."""
        under_way = self._under_way()
        first = max(first, self.acknowledged + 1)
        epoch = self._branch(first)
        for table in _OF_AN_EPOCH:
            self._database.execute(f"DELETE FROM {table} {'WHERE seq < ?' if table == 'records' else ''}",
                                   (first,) if table == "records" else ())  # fmt: skip
        self.counts, self.acknowledged, self.epoch = Counter(), 0, epoch
        # In order and piece by piece: a new number is never above the old one, so it is free.
        some = f"SELECT seq, CAST(body AS BLOB), appended_at FROM records WHERE seq >= ? ORDER BY seq LIMIT {_AT_ONCE}"
        while rows := self._database.execute(some, (first,)).fetchall():
            self._database.execute("DELETE FROM records WHERE seq BETWEEN ? AND ?", (first, rows[-1][0]))
            first = rows[-1][0] + 1
            for _, body, appended_at in rows:
                self._insert(body or b"", appended_at)
        self.counts["scheduled"] = self.counts["recorded"] + under_way

    def _branch(self, first: int) -> str:
        """The epoch that begins with a record: copies of one spool that meet the same conflict must find the same one,
        or what they share would be in two."""
        found = self._database.execute(
            "SELECT COALESCE(e.digests, r.digest) FROM records r LEFT JOIN earlier e USING (seq) WHERE r.seq = ?",
            (first,),
        ).fetchone()
        if found is None:
            return _new_epoch()
        said = f"outrider branch\n{self.agent}\n{self.epoch}\n{first}\n{str(found[0]).partition(' ')[0]}\n"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def _digest_here(self, seq: int, body: bytes) -> str:
        return digest(self.agent, self.epoch, seq, body)

    # --- opening -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            try:
                self._connect()
            except _DamagedError:
                self.set_aside = set_file_aside(self.path, self._clock.now())
                self._connect(salvaged(self.set_aside))
        except (sqlite3.Error, OSError, _DamagedError) as error:
            raise SpoolError(f"cannot use {self.path}: {error}; what is in it was left as it is") from error

    def _connect(self, saved: Salvaged | None = None) -> None:
        if self.path.is_dir():
            raise _DamagedError("it is a directory")
        self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(saved)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the message itself may hold damaged text
            self._database.close()
            if is_damage(error):
                raise _DamagedError(str(error)) from error
            raise
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, saved: Salvaged | None) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(f"PRAGMA max_page_count = {self._most_pages}")
        self._database.execute(f"PRAGMA wal_autocheckpoint = {self._most_log // 2 // PAGE_BYTES}")
        self._database.execute(f"PRAGMA journal_size_limit = {self._most_log}")
        if self._database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise _DamagedError("the file is damaged")
        self._database.executescript(_SCHEMA)
        self._room = Room(self._database, self._digest_here)
        self._load(saved)

    def _load(self, saved: Salvaged | None) -> None:
        (rows,) = self._database.execute(_ROWS).fetchone()
        totals = read_totals(self._database) if rows else saved.totals if saved else self._new_totals()
        if totals is None:
            raise _DamagedError("its totals are damaged")
        if totals.agent != self.agent:
            raise SpoolError(
                f"{self.path} belongs to agent {totals.agent!r}, not {self.agent!r}; give each agent a spool of its own"
            )
        self.begin()
        self.epoch, self.acknowledged, self.control_number = totals.epoch, totals.acknowledged, totals.control_number
        self.counts = Counter(totals.counts)
        self.counts["lost_in_flight"] += self._under_way()
        if saved is not None and not rows:
            self._take_over(saved)
        self.commit()

    def _new_totals(self) -> Totals:
        return Totals(self.agent, _new_epoch(), control_number=first_control_number(self._clock.now()))

    def _take_over(self, saved: Salvaged) -> None:
        """Records keep their place in the epoch, so that the collector knows those it has."""
        self._database.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?)",
            [(entry.seq, entry.digest, entry.body, appended_at) for entry, appended_at in saved.records],
        )
        self.counts["dropped_corrupt"] += saved.lost

    def _under_way(self) -> int:
        """Runs that have begun and not ended; after a process that ended without saying goodbye they are lost."""
        known = ("skipped", "recorded", "dropped_unwritable", "lost_in_flight")
        return max(0, self.counts["scheduled"] - sum(self.counts[name] for name in known))


def _new_epoch() -> str:
    return secrets.token_hex(8)
