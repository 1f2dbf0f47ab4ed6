"""The agent's purse: how much its checks may ask for in a day, and the switch that stops all payments.

Rules
-----
1. A run that pays is counted before anything is sent, with all that its measured steps may ask for: an amount as its
   scenario writes it, or the scenario's `max_amount` where that is only known later. What is given back is not taken
   off: the cap is on what is attempted.
2. Days are UTC, by the agent's clock. Counts are in minor units, for each currency, and synced to disk.
3. A run that would take the day's count above the cap does not begin. Nor does any run that pays while the file of the
   kill switch exists, whatever it holds, nor while the counts cannot be read or written.
4. Cleanup is never held back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from outrider.clock import Clock
from outrider.core.units import to_datetime
from outrider.hygiene import asked_for
from outrider.scenario import Scenario

KILL_SWITCH, CAP, UNCOUNTED = "kill-switch", "daily-cap", "not-counted"
_PATIENCE_S = 5
_TABLE = "create table if not exists attempted (day text, currency text, amount integer, primary key (day, currency))"
_ADD = (
    "insert into attempted values (?, ?, ?) on conflict (day, currency) do update set amount = amount + excluded.amount"
)


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a run that pays does not begin: a reason of three, and words for the log."""

    reason: str
    words: str


class Purse:
    """`path` is a SQLite file of its own; agents and `outrider once` with the same file share one count."""

    def __init__(self, path: Path, daily_cap: Mapping[str, int], kill_switch: Path | None, clock: Clock) -> None:
        self._path = path
        self._caps = daily_cap
        self._kill_switch = kill_switch
        self._clock = clock

    def withhold(self, scenario: Scenario) -> Withheld | None:
        """Count a run of the scenario, or say why it must not begin. Blocks for one synced write if the run pays."""
        asked = asked_for(scenario)
        if asked is None:
            return None
        if self._kill_switch is not None and self._exists(self._kill_switch):
            return Withheld(KILL_SWITCH, f"the kill switch {self._kill_switch} is there; no payments")
        currency, amount = asked
        if currency not in self._caps:
            return None
        try:
            return self._count(currency, amount, self._caps[currency])
        except (sqlite3.Error, OverflowError) as error:
            return Withheld(UNCOUNTED, f"cannot count in {self._path}: {error}; no payments")

    @staticmethod
    def _exists(path: Path) -> bool:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # whatever is there cannot be looked at: better no payment
        return True

    def _count(self, currency: str, amount: int, cap: int) -> Withheld | None:
        day = to_datetime(self._clock.now()).strftime("%Y-%m-%d")
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)) as file:
            file.execute("pragma synchronous = full")
            file.execute("begin immediate")
            file.execute(_TABLE)
            query = "select amount from attempted where day = ? and currency = ?"
            row = file.execute(query, (day, currency)).fetchone()
            before = row[0] if row else 0
            if before + amount > cap:
                words = f"{before} {currency} of {cap} (minor units) attempted on {day}, and a run asks for {amount}"
                return Withheld(CAP, words)
            file.execute(_ADD, (day, currency, amount))
            file.execute("commit")
        return None
