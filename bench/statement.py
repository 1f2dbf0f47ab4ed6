"""A month's statement: 50 checks x 10 regions, each once a minute (21.6 million runs), with 300 windows in it.

`first`: by a collector that has counted nothing yet; `again`: when the days and hours have been counted; `late`: after
results for one check came late, and one window was announced.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import duckdb

from bench.measuring import spread
from outrider.core.intervals import Interval
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

CHECKS, REGIONS, RUNS = 50, 10, 3


def run() -> None:
    agreement = load_agreement(shipped("config", "guarantees", "network-services.yaml"))
    month = parse_period("2026-06", agreement.zone)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.duckdb"
        DuckdbStore(path).close()
        rows = _fill(path, month)
        store = DuckdbStore(path)
        windows = [
            Announcement(f"w{day}-{n}", 1, Act.ANNOUNCE, start, start + HOUR // 2, start - 4 * DAY, scope)
            for day in range(30)
            for n, scope in enumerate([(f"check-{n * 5 + 2}",) for n in range(10)])
            for start in (month.start + day * DAY + n * 2 * HOUR,)
        ]
        accountant = Accountant(store, agreement, 0)

        def make() -> float:
            began = time.perf_counter()
            basis = accountant.basis(month, month.end + DAY, windows)
            make_statement(accountant, store, basis, "2026-06")
            return time.perf_counter() - began

        first = make()
        again = [make() for _ in range(RUNS)]
        _add_late(store, month)
        at = month.start + 9 * DAY
        windows.append(Announcement("late", 1, Act.ANNOUNCE, at, at + HOUR, at - 4 * DAY, ("check-3",)))
        late = make()
        store.close()
    print(f"  {rows:,} runs, 300 windows: first {first:.1f} s, again {spread(again, 's', 2)}, late {late:.2f} s")


def _add_late(store: DuckdbStore, month: Interval) -> None:
    at = month.start + 12 * DAY
    record = RunRecord("check-7", "", "region-1", "probe", at, at, 60 * SECOND, 90_000, "ok", "none")
    store.append([NewRecord("late", "e", 1, 1, record)], month.end)


def _fill(path: Path, month: Interval) -> int:
    """Runs made inside the engine; latencies of 50 to 150 ms, one in 5,000 failed."""
    checks = ["eligibility", "card-authorize-void", *(f"check-{n}" for n in range(2, CHECKS))]
    names = ["probe", "", "none", *checks, *(f"region-{n}" for n in range(REGIONS))]
    with duckdb.connect(str(path)) as database:
        database.executemany("INSERT INTO names VALUES (?, ?)", list(enumerate(names)))
        database.execute(
            f"""INSERT INTO runs SELECT {month.start} + m * 60000000 + 7000000 + c * 1000, {month.start} + m * 60000000,
            60000000, {3 + CHECKS} + r, 1, 1, row_number() OVER (), 1, 3 + c, 1, 1, 0,
            CASE WHEN hash(m * 100 + c * 10 + r) % 5000 = 0 THEN 3 ELSE 0 END, 1, 1, 1, 2,
            50000 + hash(m + c + r) % 100000, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0
            FROM range({month.length // 60_000_000}) a(m), range({CHECKS}) b(c), range({REGIONS}) d(r)"""
        )
        rows = int(database.execute("SELECT count(*) FROM runs").fetchall()[0][0])
        database.execute(f"INSERT INTO batches VALUES (1, 1, 1, 1, {rows}, 0, {month.start})")
    return rows
