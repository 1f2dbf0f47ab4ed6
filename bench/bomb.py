"""What a gzip bomb costs the collector: 0.5 MB that opens to 512 MB, posted to a collector's process again and again.

The figure is the growth of the process's peak resident memory (VmHWM), after a batch that warmed it up.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import zlib

import aiohttp
import psutil

from bench.ingest import _batch, _collect

OPENED = 512 << 20
TIMES = 20


def run() -> None:
    bomb = _bomb()
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_collect, args=(folder, theirs), daemon=True)
        process.start()
        url = ours.recv()
        assert process.pid is not None
        asyncio.run(_post(url, _batch(0), 1, 200))
        before = _peak(process.pid)
        asyncio.run(_post(url, bomb, TIMES, 413))
        after, resident = _peak(process.pid), psutil.Process(process.pid).memory_info().rss
        process.terminate()
        process.join()
    print(
        f"  {TIMES} bombs of {len(bomb) / 1e6:.2f} MB that open to {OPENED / 1e6:.0f} MB: each 413; the collector's "
        f"peak memory {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after, {resident / 1e6:.0f} MB at the end"
    )


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    return b"".join([*(packer.compress(zeros) for _ in range(OPENED >> 20)), packer.flush()])


def _peak(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


async def _post(url: str, body: bytes, times: int, expected: int) -> None:
    async with aiohttp.ClientSession(headers={"Content-Encoding": "gzip"}) as session:
        for _ in range(times):
            async with session.post(f"{url}/v1/results", data=body) as answer:
                assert answer.status == expected, await answer.text()
