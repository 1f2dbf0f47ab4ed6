"""What all records of a spool hang on: one line of text, written twice, each time with its own digest.

A flipped bit in one copy costs nothing; with both damaged the spool does not know what it has delivered.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from outrider.core.units import SECOND, Instant

NAMES = ("totals", "totals again")
_FIRST_NUMBERS = 998_000
WENT = ("delivered", "dead_lettered", "dropped_quota", "dropped_corrupt")
"""Where a record can have gone that waits no longer."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Whose spool it is, its epoch, the delivered mark, the next block of control numbers, and the epoch's counts."""

    agent: str
    epoch: str
    acknowledged: int = 0
    control_number: int = 1
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        return self.counts.get("recorded", 0) - sum(self.counts.get(name, 0) for name in WENT)

    def sealed(self) -> str:
        """The digest and the text, as one line. Counts of nothing are left out."""
        counts = {name: count for name, count in self.counts.items() if count}
        text = json.dumps({**asdict(self), "counts": counts}, sort_keys=True)
        return f"{_seal(text.encode())} {text}"


def first_control_number(now: Instant) -> int:
    """Where a spool begins that knows of no number before: one further each second, for eleven days.

    An agent whose spool was lost so stays ahead of the numbers it gave before, if it gave fewer than one a second.
    """
    return 1 + now // SECOND % _FIRST_NUMBERS


def read_totals(database: sqlite3.Connection) -> Totals | None:
    """The first copy that is sound; None where there is none. Raises sqlite3.Error."""
    rows = database.execute("SELECT CAST(name AS BLOB), CAST(value AS BLOB) FROM facts").fetchall()
    written: dict[bytes, bytes] = dict(rows)
    for name in NAMES:
        seal, _, text = written.get(name.encode(), b"").partition(b" ")
        if seal == _seal(text).encode():
            return Totals(**json.loads(text))
    return None


def _seal(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]
