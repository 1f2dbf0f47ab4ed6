"""A month's statement: 10 checks x 3 regions, each once a minute (1.3 million runs), with 30 windows in it.

The month of 20 million runs belongs to a later bench; this one shows where the time goes today.
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
from outrider.core.units import DAY, HOUR
from outrider.resources import shipped
from outrider_collector.accounting import Accountant
from outrider_collector.config import load_agreement
from outrider_collector.statement import make_statement
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
        accountant = Accountant(store, agreement, 0)
        windows = [
            Announcement(
                f"w{day}-{n}", 1, Act.ANNOUNCE, start, start + HOUR // 2, start - 4 * DAY, (f"check-{n * 5 + 2}",)
            )
            for day in range(30)
            for n in range(10)
            for start in (month.start + day * DAY + n * 2 * HOUR,)
        ]
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            made = make_statement(accountant, store, accountant.basis(month, month.end + DAY, windows), "2026-06")
            times.append(time.perf_counter() - began)
        print(f"  {rows:,} runs, {len(windows)} windows, verdict {made['verdict']}: {spread(times, 's', 2)}")
        store.close()


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
