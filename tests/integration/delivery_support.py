"""A shipper that never really waits, and a server that says whatever the script says."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from collector_support import NOON, SettableClock, run

from outrider.codecs.records import decode_batch, encode_answer, encode_record
from outrider.commands.processes import serving
from outrider.core.units import SECOND, Duration
from outrider.core.wire import Batch, BatchAnswer, RunRecord
from outrider.shipper import Shipper
from outrider.spool import Outbox, conservation

INTERVAL: Duration = 5 * SECOND


async def fill(outbox: Outbox, count: int, **changes: Any) -> list[RunRecord]:
    records = [run(NOON + number, **changes) for number in range(count)]
    outbox.count("scheduled", count)
    assert None not in await asyncio.gather(*(outbox.append(encode_record(record)) for record in records))
    return records


def edited(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement)


@dataclass
class Shipping:
    """Runs a shipper that never really waits: how long it would have waited is noted, `rounds` times."""

    outbox: Outbox
    clock: SettableClock
    rounds: int = 1
    meanwhile: Callable[[int], Any] = lambda _: None
    jitter: Callable[[float, float], float] = lambda _low, high: high
    waits: list[float] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shipper: Shipper | None = None

    def to(self, url: str) -> Shipper:
        self.shipper = self.shipper or Shipper(
            self.outbox,
            url=url,
            region="east",
            clock=self.clock,
            interval=INTERVAL,
            warn=self.warnings.append,
            pause=self._pause,
            jitter=self.jitter,
        )
        return self.shipper

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        waited_for = self.meanwhile(len(self.waits))
        if isinstance(waited_for, Awaitable):
            await waited_for
        if len(self.waits) % self.rounds == 0:
            raise asyncio.CancelledError

    async def run(self, url: str) -> Shipper:
        shipper = self.to(url)
        with pytest.raises(asyncio.CancelledError):
            await shipper.run()
        return shipper


Reply = Callable[[Batch], "web.StreamResponse | Awaitable[web.StreamResponse]"]


@dataclass
class Scripted:
    """A server that answers the n-th batch with the n-th reply, and all later ones with the last."""

    url: str
    script: list[Reply]
    batches: list[Batch] = field(default_factory=list)
    requests: list[web.BaseRequest] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        made = decode_batch(gzip.decompress(await request.read()))
        reply = self.script[min(len(self.batches), len(self.script) - 1)]
        self.batches.append(made)
        self.requests.append(request)
        found = reply(made)
        return await found if isinstance(found, Awaitable) else found

    @property
    def sizes(self) -> list[int]:
        return [len(made.entries) for made in self.batches]


@asynccontextmanager
async def scripted(*script: Reply) -> AsyncIterator[Scripted]:
    server = Scripted("", list(script))
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/results", server.answer)
    async with serving(app, "127.0.0.1", 0) as url:
        server.url = url
        yield server


def accepts(made: Batch, **changes: Any) -> web.Response:
    high_water = made.entries[-1].seq if made.entries else 0
    facts = {"high_water": high_water, "stored": len(made.entries), "duplicates": 0, "received_at": NOON,
             "answered_at": NOON, "recorded_at": NOON}  # fmt: skip
    return web.Response(body=encode_answer(BatchAnswer(**{**facts, **changes})))


def refuses(http: int, error: str = "no", seq: int | None = None, **headers: str) -> Reply:
    body = json.dumps({"error": error, "seq": seq}).encode()
    return lambda _: web.Response(status=http, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def kept(outbox: Outbox, waiting: int) -> None:
    """Everything is accounted for, and so much of it waits."""
    counts = outbox.counts()
    scheduled, ways = conservation(counts)
    assert (scheduled, counts["waiting"]) == (ways, waiting)
