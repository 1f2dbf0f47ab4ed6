"""A look at a spool from outside, changing nothing, also while its agent runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from outrider.core.units import Instant
from outrider.spool.totals import Totals, read_totals

_DEAD_LETTERS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Examined:
    """What a spool's file says of itself. `trouble` is why it could not be read, "" where it could; sizes in bytes.

    `oldest` is when the oldest record that waits was appended; `last_stamp` the latest stamp of the collector.
    """

    path: Path
    trouble: str = ""
    totals: Totals | None = None
    size: int = 0
    log: int = 0
    oldest: Instant | None = None
    last_stamp: Instant | None = None
    kept: int = 0
    dead_letters: tuple[tuple[int, str], ...] = ()
    set_aside: tuple[Path, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        return {} if self.totals is None else {**self.totals.counts, "waiting": self.totals.waiting}


def examine(path: Path) -> Examined:
    """Read a spool. Raises nothing: what is wrong is in `trouble`."""
    asides = sorted(path.parent.glob(f"{path.name}.set-aside-*")) if path.parent.is_dir() else []
    set_aside = tuple(each for each in asides if not each.name.endswith(("-wal", "-shm")))
    if not path.is_file():
        return Examined(path, f"there is no spool at {path}: no agent with this configuration has run yet",
                        set_aside=set_aside)  # fmt: skip
    size, log = path.stat().st_size, _size(Path(f"{path}-wal"))
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            totals = read_totals(database)
            if totals is None:
                return Examined(path, "its totals are damaged", size=size, log=log, set_aside=set_aside)
            return Examined(path, "", totals, size, log, *_facts(database, totals), set_aside)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return Examined(path, f"it cannot be read: {error}", size=size, log=log, set_aside=set_aside)


def _facts(
    database: sqlite3.Connection, totals: Totals
) -> tuple[Instant | None, Instant | None, int, tuple[tuple[int, str], ...]]:
    def one(sql: str, *bounds: int) -> int | None:
        found: int | None = database.execute(sql, bounds).fetchone()[0]
        return found

    oldest = one("SELECT min(appended_at) FROM (SELECT appended_at FROM records WHERE seq > ? LIMIT 1)",
                 totals.acknowledged)  # fmt: skip
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    last_stamp = one("SELECT max(recorded_at) FROM stamps") if "stamps" in tables else None
    kept = one("SELECT count(*) FROM records WHERE seq <= ?", totals.acknowledged) or 0
    letters = database.execute(f"SELECT seq, reason FROM dead_letters ORDER BY seq DESC LIMIT {_DEAD_LETTERS_SHOWN}")
    return oldest, last_stamp, kept, tuple((seq, str(reason)) for seq, reason in letters)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
