"""The collector's ingest: batches made beforehand, posted over HTTP by one sender, each answered after its commit.

The figure is the collector process's own CPU time for each result, so that the sender and the rest of the machine
are left out.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil

from bench.measuring import spread
from outrider.clock import SystemClock
from outrider.codecs.records import encode_batch, encode_record
from outrider.commands.processes import run_on_loop, serving
from outrider.core.units import SECOND
from outrider.core.wire import Batch, Entry, Phases, RunRecord, digest
from outrider.resources import shipped

PER_BATCH = 1_000
BATCHES = 40
RUNS = 3


def run() -> None:
    batches = [_batch(number) for number in range(BATCHES)]
    costs, rates = [], []
    for _ in range(RUNS):
        cpu, wall = _measure(batches)
        costs.append(cpu / (PER_BATCH * BATCHES) * 1e6)
        rates.append(PER_BATCH * BATCHES / wall)
    print(f"  {BATCHES} batches of {PER_BATCH}: {spread(costs, 'us CPU/result', 1)}, {spread(rates, 'results/s', 0)}")


def _batch(number: int) -> bytes:
    entries = []
    for seq in range(number * PER_BATCH + 1, (number + 1) * PER_BATCH + 1):
        began = 1_780_000_000 * SECOND + seq * SECOND // 10
        record = RunRecord(
            "eligibility", "eligibility", "us-east", "probe", began, began + 900, 30 * SECOND, 60_000 + seq % 5_000,
            "ok", "none", step="inquiry", status=200, clock_offset=120, clock_error=400,
            phases=Phases(100, 300, 0, 50, 59_000, 200),
        )  # fmt: skip
        body = encode_record(record)
        entries.append(Entry(seq, digest("bench", "e", seq, body), body))
    return gzip.compress(encode_batch(Batch("bench", "us-east", "e", tuple(entries))))


def _measure(batches: list[bytes]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_collect, args=(folder, theirs), daemon=True)
        process.start()
        url = ours.recv()
        watched = psutil.Process(process.pid)
        before, began = watched.cpu_times(), time.perf_counter()
        asyncio.run(_post(url, batches))
        wall, after = time.perf_counter() - began, watched.cpu_times()
        process.terminate()
        process.join()
        return (after.user + after.system) - (before.user + before.system), wall


async def _post(url: str, batches: list[bytes]) -> None:
    async with aiohttp.ClientSession(headers={"Content-Encoding": "gzip"}) as session:
        for batch in batches:
            async with session.post(f"{url}/v1/results", data=batch) as answer:
                assert answer.status == 200, await answer.text()


def _collect(folder: str, pipe: object) -> None:
    from outrider_collector.config import CollectorConfig, load_agreement
    from outrider_collector.main import opened

    agreement = load_agreement(shipped("config", "guarantees", "network-services.yaml"))
    config = CollectorConfig(("127.0.0.1", 0), Path(folder) / "store.duckdb", agreement, 60 * SECOND, 3600 * SECOND)

    async def serve() -> None:
        async with opened(config, SystemClock()) as app, serving(app, *config.listen) as url:
            pipe.send(url)  # type: ignore[attr-defined]
            await asyncio.Event().wait()

    run_on_loop(serve())
