"""Making room in a full spool: what goes first, and how each thing that goes is counted.

Rules
-----
1. The order: delivered records; dead letters; the captured text of records that wait, oldest first; the timings of
   their phases; whole slices of a minute, oldest first. Nothing of one kind goes while there is some of the one before.
2. A slice goes with its good and its bad runs together: dropping successes first would bend the figures.
3. A record that gives something up has other bytes, so another digest. The digests that it had are kept: it may have
   been sent, or copied with the file, in its earlier form, and must be known again.
4. What is dropped is written down as ranges, so that the collector can be told why it never comes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

from outrider.codecs.records import BatchError, decode_record, without_detail, without_phases
from outrider.core.units import MINUTE, Instant

SLICE = MINUTE
_LATE_SLICES = 10
"""How many slices later a record may still have been appended: long past any timeout."""

_AT_ONCE = 40
SPARE_PAGES = 16
"""Kept free for making room: rewriting a row of neighbours may take a few pages more than they had, since SQLite fills
pages less well in the middle."""

_LEAST_SAVED = 64
"""Bytes; a record that saves less, or less than an eighth of itself, is left whole: its old digest takes room too."""

_KEEP_EARLIER = "INSERT INTO earlier VALUES (?, ?) ON CONFLICT (seq) DO UPDATE SET digests = digests || ' ' || ?"

Digest = Callable[[int, bytes], str]
Strip = Callable[[bytes], bytes | None]

STRIPS: tuple[tuple[str, Strip], ...] = (("stripped_details", without_detail), ("stripped_phases", without_phases))


class Room:
    """Frees room inside the caller's transaction. `digest_of` gives the digest that a record has at its place."""

    def __init__(self, database: sqlite3.Connection, digest_of: Digest) -> None:
        self._database = database
        self._digest_of = digest_of
        self._looked_through = Counter[str]()
        self._kept = Counter[str]()

    def commit(self) -> None:
        self._kept = Counter(self._looked_through)

    def roll_back(self) -> None:
        """The transaction was taken back, and so was what this object did in it."""
        self._looked_through = Counter(self._kept)

    def make(self, acknowledged: int, wanted: int, enough: int, *, may_strip: bool) -> Counter[str]:
        """Free about `wanted` bytes, kind after kind (rule 1), going on to the next kind below `enough`; the counts to
        add."""
        counts = Counter[str]()
        freed = self._drop_delivered(acknowledged, wanted)
        if freed < enough:
            freed += self._drop_dead_letters(max(wanted - freed, 1))
        for name, strip in STRIPS if may_strip else ():
            if freed < enough:
                stripped, saved = self._strip(name, strip, acknowledged, max(wanted - freed, 1))
                counts[name], freed = stripped, freed + saved
        if freed < enough:
            counts["dropped_quota"] = self._drop_slices(acknowledged, max(wanted - freed, 1))
        return counts

    def _drop_delivered(self, acknowledged: int, wanted: int) -> int:
        freed = last = 0
        oldest = "SELECT seq, length(body) FROM records WHERE seq <= ? ORDER BY seq"
        for seq, size in self._database.execute(oldest, (acknowledged,)):
            freed, last = freed + size, seq
            if freed >= wanted:
                break
        for table in ("records", "stamps", "earlier"):
            self._database.execute(f"DELETE FROM {table} WHERE seq <= ?", (last,))
        return freed

    def _drop_dead_letters(self, wanted: int) -> int:
        """They were counted when they became that; which ones they were stays known."""
        freed = last = 0
        for seq, size in self._database.execute("SELECT seq, length(body) FROM dead_letters ORDER BY seq"):
            freed, last = freed + size, seq
            if freed >= wanted:
                break
        self._database.execute("DELETE FROM dead_letters WHERE seq <= ?", (last,))
        return freed

    def _strip(self, name: str, strip: Strip, acknowledged: int, wanted: int) -> tuple[int, int]:
        """Rewritten by the row of neighbours, so that the pages they lay on come free."""
        some = f"SELECT seq, digest, body, appended_at FROM records WHERE seq > ? ORDER BY seq LIMIT {_AT_ONCE}"
        saved = stripped = 0
        while saved < wanted and self.free_pages() >= SPARE_PAGES - 4:
            after = max(self._looked_through[name], acknowledged)
            rows = self._database.execute(some, (after,)).fetchall()
            if not rows:
                break
            self._looked_through[name] = rows[-1][0]
            bare = {seq: found for seq, written, body, _ in rows if (found := self._bare(seq, written, body, strip))}
            if not bare:
                continue
            self._rewrite(rows, bare)
            stripped += len(bare)
            saved += sum(len(body) - len(bare[seq]) for seq, _, body, _ in rows if seq in bare)
        return stripped, saved

    def _bare(self, seq: int, written: str, body: bytes, strip: Strip) -> bytes | None:
        """What is left of a record; None where nothing is saved, or where it is damaged, which reading it will tell."""
        if not isinstance(body, bytes) or self._digest_of(seq, body) != written:
            return None
        bare = strip(body)
        return bare if bare is not None and len(body) - len(bare) >= max(_LEAST_SAVED, len(body) // 8) else None

    def _rewrite(self, rows: list[tuple[int, str, bytes, Instant]], bare: dict[int, bytes]) -> None:
        self._database.execute("DELETE FROM records WHERE seq BETWEEN ? AND ?", (rows[0][0], rows[-1][0]))
        for seq, written, body, appended_at in rows:
            kept = bare.get(seq, body)
            now = self._digest_of(seq, kept) if seq in bare else written
            self._database.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (seq, now, kept, appended_at))
        self._database.executemany(_KEEP_EARLIER, [(seq, digest, digest) for seq, digest, *_ in rows if seq in bare])

    def free_pages(self) -> int:
        """Pages that may still be written."""
        most, used, free = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("max_page_count", "page_count", "freelist_count")
        )
        return int(most - used + free)

    def _drop_slices(self, acknowledged: int, wanted: int) -> int:
        slices: dict[int, list[int]] = {}
        sizes = Counter[int]()
        waiting = "SELECT seq, CAST(body AS BLOB), appended_at FROM records WHERE seq > ? ORDER BY seq"
        for seq, body, appended_at in self._database.execute(waiting, (acknowledged,)):
            number = _slice(body or b"", appended_at)
            slices.setdefault(number, []).append(seq)
            sizes[number] += len(body or b"")
            if sum(sizes.values()) > 2 * wanted and number > min(slices) + _LATE_SLICES:
                break
        freed, doomed = 0, list[int]()
        for number in sorted(slices):
            if freed >= wanted:
                break
            freed += sizes[number]
            doomed += slices[number]
        for table in ("records", "earlier"):
            self._database.executemany(f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq in doomed])
        note_losses(self._database, sorted(doomed), "dropped_quota")
        return len(doomed)


def note_losses(database: sqlite3.Connection, seqs: Iterable[int], reason: str) -> None:
    """Write down records that will never come, as ranges; touching ones of the same reason become one."""
    for seq in seqs:
        grown = "UPDATE losses SET last = ? WHERE last = ? AND reason = ?"
        if not database.execute(grown, (seq, seq - 1, reason)).rowcount:
            database.execute("INSERT OR REPLACE INTO losses VALUES (?, ?, ?)", (seq, seq, reason))


def _slice(body: bytes, appended_at: Instant) -> int:
    """The slice in which a run counts: by when it began, on the collector's clock where that was known."""
    try:
        record = decode_record(body)
    except BatchError:
        return appended_at // SLICE
    return (record.started_at + (record.clock_offset or 0)) // SLICE
