"""What a collector asks for again: records that were delivered and are still kept, with the stamps they got, and the
reasons why others never come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from outrider.core.wire import Entry, Lost, Stamp

MOST_LOST = 200

_KEPT = """
SELECT r.seq, r.digest, CAST(r.body AS BLOB), s.recorded_at, s.signature FROM records r LEFT JOIN stamps s USING (seq)
WHERE r.seq BETWEEN ? AND ? ORDER BY r.seq LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What answers the collector's gaps: records to send again, and ranges that never come."""

    entries: tuple[Entry, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    lost: tuple[Lost, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.lost)


def recalled(
    database: sqlite3.Connection,
    digest_of: Callable[[int, bytes], str],
    gaps: Sequence[tuple[int, int]],
    most: int,
    most_bytes: int,
) -> Recalled:
    """Answer gaps of delivered records, in order, as far as one batch goes."""
    entries: list[Entry] = []
    stamps: list[Stamp] = []
    lost: list[Lost] = []
    size = 0
    for first, last in sorted(gaps):
        after = first - 1
        is_whole = True
        for seq, written, body, recorded_at, signature in database.execute(_KEPT, (first, last, most + 1)).fetchall():
            if entries and (len(entries) >= most or size + len(body or b"") > most_bytes):
                is_whole = False
                break
            lost += _losses(database, after + 1, seq - 1)
            after = seq
            if body is None or digest_of(seq, body) != written:
                lost.append(Lost(seq, seq, "corrupt"))
                continue
            size += len(body)
            entries.append(Entry(seq, written, body))
            if signature:
                stamps.append(Stamp(seq, recorded_at, signature))
        if is_whole:
            lost += _losses(database, after + 1, last)
        if not is_whole or len(lost) >= MOST_LOST:
            break
    return Recalled(tuple(entries), tuple(stamps), tuple(lost[:MOST_LOST]))


def _losses(database: sqlite3.Connection, first: int, last: int) -> list[Lost]:
    """Why none of these records is here: what was written down, and else that they are kept no longer."""
    if first > last:
        return []
    known = database.execute(
        "SELECT first, last, reason FROM losses WHERE last >= ? AND first <= ? ORDER BY first",
        (first, last),
    ).fetchall()
    found: list[Lost] = []
    for start, end, reason in known:
        if (start := max(start, first)) > first:
            found.append(Lost(first, start - 1, "not_kept"))
        if (end := min(end, last)) >= start:
            found.append(Lost(start, end, reason))
        first = max(first, end + 1)
    if first <= last:
        found.append(Lost(first, last, "not_kept"))
    return found


def keep_stamps(database: sqlite3.Connection, stamps: Sequence[Stamp]) -> None:
    """The first stamp of a record stays: that is the one that statements were made under."""
    database.executemany(
        "INSERT OR IGNORE INTO stamps VALUES (?, ?, ?)",
        [(each.seq, each.recorded_at, each.signature) for each in stamps],
    )
