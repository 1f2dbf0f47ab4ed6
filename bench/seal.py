"""Sealing and checking a day: 50 checks x 10 regions, once a minute (720,000 records), with one step each.

`lag` is by how much an event loop beside it came late, of wake-ups every 10 ms; `append` how long a batch of 100
records took to be kept. `idle` is the same without a seal.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psutil

from outrider.core.units import DAY, SECOND, parse_instant
from outrider.core.wire import RunRecord
from outrider_collector.evidence import PUBLIC_KEY
from outrider_collector.evidence.checking import check_folder
from outrider_collector.evidence.keys import public_key
from outrider_collector.evidence.sealing import Sealer
from outrider_collector.store import NewRecord
from outrider_collector.store.duckdb_store import DuckdbStore

CHECKS, REGIONS, MINUTES, BATCH = 50, 10, 1440, 100
_TICK_S = 0.01
_IDLE_S = 5


def run() -> None:
    day = parse_instant("2026-06-15T00:00:00Z")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        DuckdbStore(home / "store.duckdb").close()
        rows = _fill(home / "store.duckdb", day)
        store = DuckdbStore(home / "store.duckdb")
        sealer = Sealer(
            home / "evidence", home / "a.key", store, as_of=lambda: day + DAY + 3600 * SECOND,
            announcements=lambda _: (), settle=0,
        )  # fmt: skip
        print(f"  idle: {asyncio.run(_measured(lambda: time.sleep(_IDLE_S), store, day))}")
        before = psutil.Process().memory_info().rss
        print(f"  sealing {rows:,} records: {asyncio.run(_measured(sealer.seal, store, day))}")
        size = sum(path.stat().st_size for path in (home / "evidence").iterdir())
        print(f"  its files: {size / 1e6:.1f} MB, {size / rows:.0f} bytes a record")
        store.close()
        key = public_key(home / "evidence" / PUBLIC_KEY)
        began, cpu = time.perf_counter(), time.process_time()
        findings = check_folder(home / "evidence", key)
        assert findings.is_ok, findings.failures
        assert findings.records == rows
        took, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"  checking: {took:.1f} s, CPU {used:.1f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"  memory: {before / 1e6:.0f} MB before, at most {peak / 1e6:.0f} MB")


async def _measured(work: Callable[[], Any], store: DuckdbStore, day: int) -> str:
    """Work in a thread, as the collector does, while the loop ticks and batches come in."""
    lags: list[float] = []
    appends: list[float] = []
    working = asyncio.create_task(_timed(work))
    appending = asyncio.create_task(_append(working, store, day, appends))
    while not working.done():
        due = time.perf_counter() + _TICK_S
        await asyncio.sleep(_TICK_S)
        lags.append(max(0.0, time.perf_counter() - due))
    await appending
    lags.sort()
    appends.sort()
    return (
        f"{await working}, lag p99 {lags[len(lags) * 99 // 100] * 1000:.0f} ms, worst {lags[-1] * 1000:.0f} ms, append "
        f"median {appends[len(appends) // 2] * 1000:.0f} ms, worst {appends[-1] * 1000:.0f} ms of {len(appends)}"
    )


async def _timed(work: Callable[[], Any]) -> str:
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.to_thread(work)
    return f"{time.perf_counter() - began:.1f} s, CPU {time.process_time() - cpu:.1f} s"


async def _append(working: asyncio.Task[str], store: DuckdbStore, day: int, took: list[float]) -> None:
    """Batches of the next day, one after the other, twice a second."""
    seq = 0
    while not working.done():
        at = day + DAY + seq
        record = RunRecord("check-7", "", "region-1", "probe", at, at, 60 * SECOND, 90_000, "ok", "none")
        batch = [NewRecord("late", "e", seq + n, n, record) for n in range(1, BATCH + 1)]
        began = time.perf_counter()
        await asyncio.to_thread(store.append, batch, day + DAY)
        took.append(time.perf_counter() - began)
        seq += BATCH
        await asyncio.sleep(0.5)


def _fill(path: Path, day: int) -> int:
    """Records made inside the engine: ten agents, one a region."""
    checks = [f"check-{n}" for n in range(CHECKS)]
    names = ["probe", "", "none", "e1", *checks, *(f"region-{n}" for n in range(REGIONS))]
    each = f"range({MINUTES}) a(m), range({CHECKS}) b(c), range({REGIONS}) d(r)"
    ts, seq = f"{day} + m * 60000000 + 7000000 + c * 1000", f"m * {CHECKS} + c + 1"
    with duckdb.connect(str(path)) as database:
        database.executemany("INSERT INTO names VALUES (?, ?)", list(enumerate(names)))
        database.execute(
            f"""INSERT INTO runs SELECT {ts}, {day} + m * 60000000, 60000000, {4 + CHECKS} + r, {4 + CHECKS} + r, 3,
            {seq}, 1, 4 + c, 1, 1, 0, CASE WHEN hash(m * 100 + c * 10 + r) % 5000 = 0 THEN 3 ELSE 0 END, 1, 1, 1, 2,
            50000 + hash(m + c + r) % 100000, 0, 0, 0, 0, 0, 0, 200, 0, 0, hash(m, c, r) FROM {each}"""
        )
        database.execute(
            f"""INSERT INTO steps SELECT {ts}, {4 + CHECKS} + r, 3, {seq}, 0, 4 + c, 1, 0, 1, 1, 50000, 0, 0, 0, 0, 0,
            0, 200 FROM {each}"""
        )
        rows = int(database.execute("SELECT count(*) FROM runs").fetchall()[0][0])
        database.execute(f"INSERT INTO batches VALUES (1, 4, 3, 1, {rows}, 0, {day})")
    return rows
