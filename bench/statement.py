"""A month's statement: 50 checks x 10 regions, each once a minute (21.6 million runs), with 300 windows in it; a calm
month, and one with 200 outages of five minutes over ten of the checks.

`first`: by a collector that has counted nothing yet; `again`: when the days and hours have been counted; `late`: after
results for one check came late, and one window was announced. Seconds, and of the processor's time beside them: other
work on the machine lengthens the first, and hardly the second, which adds up all threads.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import duckdb

from bench.measuring import spread
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import parse_period
from outrider.core.units import DAY, HOUR, SECOND
from outrider.core.wire import RunRecord
from outrider.resources import shipped
from outrider_collector.accounting import Accountant
from outrider_collector.config import load_agreement
from outrider_collector.statement import make_statement
from outrider_collector.store import NewRecord
from outrider_collector.store.duckdb_store import DuckdbStore

CHECKS, REGIONS, RUNS = 50, 10, 5

_AGREEMENT = load_agreement(shipped("config", "guarantees", "network-services.yaml"))
_MONTH = parse_period("2026-06", _AGREEMENT.zone)

# Of every fifth check 20 outages of five minutes, 36 hours apart, seen by 8 of 10 regions.
_IN_OUTAGE = "c % 5 = 3 AND (m - c * 37) % 2160 BETWEEN 0 AND 4 AND r < 8"


class _Taken(NamedTuple):
    wall: float
    processor: float


def run() -> None:
    for name, is_troubled in (("calm", False), ("200 outages", True)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store.duckdb"
            DuckdbStore(path).close()
            rows = _fill(path, is_troubled=is_troubled)
            store = DuckdbStore(path)
            print(f"  {rows:,} runs, 300 windows, {name}")
            _measure(store)
            store.close()


def _measure(store: DuckdbStore) -> None:
    windows = [
        Announcement(f"w{day}-{n}", 1, Act.ANNOUNCE, start, start + HOUR // 2, start - 4 * DAY, (f"check-{n * 5 + 2}",))
        for day in range(30)
        for n in range(10)
        for start in (_MONTH.start + day * DAY + n * 2 * HOUR,)
    ]
    accountant = Accountant(store, _AGREEMENT, 0)

    def make() -> _Taken:
        wall, processor = time.perf_counter(), time.process_time()
        basis = accountant.basis(_MONTH, _MONTH.end + DAY, windows)
        make_statement(accountant, basis, "2026-06")
        return _Taken(time.perf_counter() - wall, time.process_time() - processor)

    first = make()
    again = [make() for _ in range(RUNS)]
    _add_late(store)
    at = _MONTH.start + 9 * DAY
    windows.append(Announcement("late", 1, Act.ANNOUNCE, at, at + HOUR, at - 4 * DAY, ("check-3",)))
    late = make()
    print(f"    first {first.wall:.1f} s ({first.processor:.1f} s of processor)")
    print(f"    again {spread([it.wall for it in again], 's', 2)}")
    print(f"          {spread([it.processor for it in again], 's of processor', 2)}")
    print(f"    late  {late.wall:.2f} s ({late.processor:.2f} s of processor)", flush=True)


def _add_late(store: DuckdbStore) -> None:
    at = _MONTH.start + 12 * DAY
    record = RunRecord("check-7", "", "region-1", "probe", at, at, 60 * SECOND, 90_000, "ok", "none")
    store.append([NewRecord("late", "e", 1, 1, record)], _MONTH.end)


def _fill(path: Path, *, is_troubled: bool) -> int:
    """Runs made inside the engine; latencies of 50 to 150 ms, one in 5,000 failed, and those of outages. A failure has
    one of two codes."""
    checks = ["eligibility", "card-authorize-void", *(f"check-{n}" for n in range(2, CHECKS))]
    names = ["probe", "", "none", *checks, *(f"region-{n}" for n in range(REGIONS)), "http_503", "timed_out"]
    outage, codes = _IN_OUTAGE if is_troubled else "false", 3 + CHECKS + REGIONS
    with duckdb.connect(str(path)) as database:
        database.executemany("INSERT INTO names VALUES (?, ?)", list(enumerate(names)))
        database.execute(
            f"""INSERT INTO runs SELECT {_MONTH.start} + m * 60000000 + 7000000 + c * 1000,
            {_MONTH.start} + m * 60000000, 60000000, {3 + CHECKS} + r, 1, 1, row_number() OVER (), 1, 3 + c, 1, 1, 0,
            CASE WHEN is_bad THEN 3 ELSE 0 END, CASE WHEN is_bad THEN {codes} + r % 2 ELSE 1 END, 1, 1, 2,
            50000 + hash(m + c + r) % 100000, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0
            FROM (SELECT m, c, r, hash(m * 100 + c * 10 + r) % 5000 = 0 OR ({outage}) AS is_bad
                  FROM range({_MONTH.length // 60_000_000}) a(m), range({CHECKS}) b(c), range({REGIONS}) d(r))"""
        )
        rows = int(database.execute("SELECT count(*) FROM runs").fetchall()[0][0])
        database.execute(f"INSERT INTO batches VALUES (1, 1, 1, 1, {rows}, 0, {_MONTH.start})")
    return rows
