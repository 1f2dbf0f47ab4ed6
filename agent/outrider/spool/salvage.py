"""What can still be read of a damaged spool: record by record, each checked, so that damage costs what it touched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from outrider.core.units import Instant
from outrider.core.wire import Entry, digest
from outrider.spool.totals import Totals, read_totals

_TROUBLE = (sqlite3.Error, UnicodeDecodeError)
_READ = "SELECT CAST(digest AS BLOB), CAST(body AS BLOB), CAST(appended_at AS INTEGER) FROM records WHERE seq = ?"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A spool's totals, and those of its records that wait and match their digests, with when they were appended."""

    totals: Totals
    records: tuple[tuple[Entry, Instant], ...]

    @property
    def lost(self) -> int:
        """Records that waited and cannot be read."""
        return max(0, self.totals.waiting - len(self.records))


def salvaged(path: Path) -> Salvaged | None:
    """Read what there is, changing nothing. None where the totals are gone: then nobody knows what was delivered."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("PRAGMA writable_schema = ON")  # without it SQLite reads nothing of a file cut short
            totals = read_totals(database)
            if totals is None:
                return None
            seqs = range(totals.acknowledged + 1, totals.counts.get("recorded", 0) + 1)
            found = (_record(database, totals, seq) for seq in seqs)
            return Salvaged(totals, tuple(each for each in found if each is not None))
    except _TROUBLE:
        return None


def _record(database: sqlite3.Connection, totals: Totals, seq: int) -> tuple[Entry, Instant] | None:
    try:
        written, body, appended_at = database.execute(_READ, (seq,)).fetchone() or (b"", b"", 0)
    except _TROUBLE:
        return None
    found = digest(totals.agent, totals.epoch, seq, body or b"")
    return (Entry(seq, found, body), appended_at) if written == found.encode() else None
