"""What the collector keeps of delivery beside the records: the agents' counts, declared losses, restored stamps.

Rules
-----
1. An agent's counts are kept as they stood at the end of each minute, for each epoch, and never changed afterwards, so
   that a statement as of an instant comes out the same whenever it is made. The running minute is overwritten.
2. A loss is what an agent declares of its own epoch: records that never come, and why. They are asked for no more.
3. A record that comes back with a stamp that this collector signed before was recorded then. It enters the ledger anew,
   since stamps of the ledger never go backwards and sealed days stay as they are; the first stamp is kept here.

SQLite beside the store, synced at each change, before the agent is answered.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outrider.core.intervals import Interval, Intervals
from outrider.core.units import MINUTE, Instant
from outrider.core.wire import Lost
from outrider_collector.store import StoreFailedError

Sequences = tuple[str, str]
"""An agent and its epoch."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sequences (
    id INTEGER PRIMARY KEY, agent TEXT NOT NULL, epoch TEXT NOT NULL, UNIQUE (agent, epoch));
CREATE TABLE IF NOT EXISTS senders (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, software TEXT NOT NULL, names TEXT NOT NULL,
    UNIQUE (region, software, names));
CREATE TABLE IF NOT EXISTS minutes (
    sequence INTEGER NOT NULL, minute INTEGER NOT NULL, sender INTEGER NOT NULL, counts TEXT NOT NULL,
    seen_at INTEGER NOT NULL, duplicates INTEGER NOT NULL, PRIMARY KEY (sequence, minute)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS losses (
    agent TEXT NOT NULL, epoch TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL,
    recorded_at INTEGER NOT NULL, PRIMARY KEY (agent, epoch, first, last)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS restored (
    agent TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
    restored_at INTEGER NOT NULL, PRIMARY KEY (agent, epoch, seq)) WITHOUT ROWID;
"""
# A minute's row holds numbers only, since there is one for each minute of each agent's life.
_MINUTE = """
INSERT OR REPLACE INTO minutes SELECT q.id, ?, n.id, ?, ?, ? FROM sequences q, senders n
WHERE q.agent = ? AND q.epoch = ? AND n.region = ? AND n.software = ? AND n.names = ?
"""
# One seek for each epoch, however many minutes were kept.
_AT = """
SELECT q.agent, n.region, q.epoch, n.software, n.names, r.counts, r.seen_at, r.duplicates
FROM sequences q JOIN minutes r ON r.sequence = q.id AND r.minute = (
    SELECT max(minute) FROM minutes m WHERE m.sequence = q.id AND m.minute < ?)
JOIN senders n ON n.id = r.sender
"""
DROPS = ("dropped_quota", "dropped_corrupt", "dropped_unwritable")


@dataclass(frozen=True, slots=True)
class Sender:
    """What the collector knows of an agent in one epoch, from its batches."""

    agent: str
    region: str
    epoch: str
    software: str
    counts: dict[str, int]
    last_seen: Instant
    duplicates: int

    @property
    def ways(self) -> dict[str, int]:
        """Where each scheduled run went: the terms of the conservation, with what is under way as its rest."""
        count = self.counts.get
        ways = {name: count(name, 0) for name in ("skipped", "lost_in_flight", "delivered", "waiting")}
        ways |= {"dropped": sum(count(name, 0) for name in DROPS), "dead_lettered": count("dead_lettered", 0)}
        return {**ways, "under_way": count("scheduled", 0) - sum(ways.values())}


@dataclass(frozen=True, slots=True)
class Restored:
    """A record that came back with a stamp of ours, and when it was recorded first."""

    agent: str
    epoch: str
    seq: int
    recorded_at: Instant


@dataclass(slots=True)
class Heard:
    """What one commit learns beside records."""

    senders: dict[Sequences, Sender] = field(default_factory=dict)
    losses: list[tuple[Sequences, Lost]] = field(default_factory=list)
    restored: list[Restored] = field(default_factory=list)


class DeliveryLedger:
    """One file, or memory where there is none. Safe to use from several threads. Raises StoreFailedError."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreFailedError(f"cannot open {path}: {error}") from error

    def keep(self, heard: Heard, at: Instant) -> None:
        """Keep what a commit of this stamp learned, in one synced transaction."""
        senders, minutes = set[tuple[str, str, str]](), []
        for who, each in heard.senders.items():
            sender = each.region, each.software, json.dumps(sorted(each.counts))
            counts = ",".join(str(each.counts[name]) for name in sorted(each.counts))
            senders.add(sender)
            minutes.append((at // MINUTE, counts, at, each.duplicates, *who, *sender))
        losses = [(*who, each.first, each.last, each.reason, at) for who, each in heard.losses]
        restored = [(each.agent, each.epoch, each.seq, each.recorded_at, at) for each in heard.restored]
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(
                    "INSERT OR IGNORE INTO sequences (agent, epoch) VALUES (?, ?)", list(heard.senders)
                )
                self._database.executemany(
                    "INSERT OR IGNORE INTO senders (region, software, names) VALUES (?, ?, ?)", sorted(senders)
                )
                self._database.executemany(_MINUTE, minutes)
                self._database.executemany("INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?, ?, ?)", losses)
                self._database.executemany("INSERT OR IGNORE INTO restored VALUES (?, ?, ?, ?, ?)", restored)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise StoreFailedError(f"cannot write {self._path}: {error}") from error

    def latest(self) -> list[Sender]:
        """The last counts of each epoch, in the order of when they came."""
        return sorted((_sender(row) for row in self._ask(_AT, 2**62)), key=lambda each: each.last_seen)

    def at(self, instant: Instant) -> list[Sender]:
        """The counts of each epoch as they stood at the last full minute before an instant (rule 1)."""
        found = (_sender(row) for row in self._ask(_AT, instant // MINUTE))
        return sorted(found, key=lambda each: (each.agent, each.last_seen, each.epoch))

    def lost(self, as_of: Instant | None = None) -> Mapping[Sequences, Intervals]:
        """Which seqs were declared lost, each as [first, last + 1)."""
        rows = self._ask("SELECT agent, epoch, first, last FROM losses WHERE recorded_at <= ?", as_of or 2**62)
        found: defaultdict[Sequences, list[Interval]] = defaultdict(list)
        for agent, epoch, first, last in rows:
            found[agent, epoch].append(Interval(first, last + 1))
        return {who: Intervals(ranges) for who, ranges in found.items()}

    def restored(self, as_of: Instant) -> dict[Sequences, int]:
        """How many records came back with a stamp of ours."""
        rows = self._ask(
            "SELECT agent, epoch, count(*) FROM restored WHERE restored_at <= ? GROUP BY agent, epoch", as_of
        )
        return {(agent, epoch): count for agent, epoch, count in rows}

    def _ask(self, sql: str, *bounds: int) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(sql, bounds).fetchall()
            except sqlite3.Error as error:
                raise StoreFailedError(f"cannot read {self._path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._database.close()


def _sender(row: Sequence[object]) -> Sender:
    agent, region, epoch, software, names, counts, seen_at, duplicates = map(str, row)
    numbers = [int(number) for number in counts.split(",") if number]
    said = dict(zip(json.loads(names), numbers, strict=True))
    return Sender(agent, region, epoch, software, said, int(seen_at), int(duplicates))


def without(gaps: Iterable[tuple[int, int]], lost: Intervals) -> tuple[tuple[int, int], ...]:
    """Gaps (first, last) without what was declared lost."""
    left: list[tuple[int, int]] = []
    for first, last in gaps:
        begin = first
        for each in lost.within(Interval(first, last + 1)):
            if each.start > begin:
                left.append((begin, each.start - 1))
            begin = each.end
        if begin <= last:
            left.append((begin, last))
    return tuple(left)
