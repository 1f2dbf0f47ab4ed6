"""A collector on a free port of 127.0.0.1 under a clock that stands still, and the few verbs of the tests for it."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import duckdb

from outrider.codecs.records import encode_batch, encode_record
from outrider.commands.processes import serving
from outrider.core.guarantee import Agreement, Guarantee, Measure
from outrider.core.units import HOUR, MILLISECOND, MINUTE, SECOND, Duration, Instant, parse_instant
from outrider.core.wire import Batch, Entry, RunRecord, digest
from outrider_collector.accounting import Accountant
from outrider_collector.app import Rooms, build_app
from outrider_collector.config import CollectorConfig
from outrider_collector.delivery import DeliveryLedger
from outrider_collector.intake import Intake
from outrider_collector.issued.api import add_issued, make_issuer
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.metrics import CollectorMetrics
from outrider_collector.stamps import Stamper
from outrider_collector.store import NewRecord, Store
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.windows import WindowRegister

UTC = ZoneInfo("UTC")
NOON = parse_instant("2026-06-15T12:00:00Z")
SETTLE: Duration = 60 * SECOND

G1 = Guarantee("G1", "Available", Measure.AVAILABILITY, Fraction(999, 1000), strict=True, notice=HOUR)
G3 = Guarantee("G3", "Fast", Measure.RESPONSE_TIME, Fraction(9, 10), limit=10 * SECOND, notice=HOUR)


class SettableClock:
    """Stands still until told otherwise; wall and monotonic time are set apart."""

    def __init__(self, at: Instant = NOON) -> None:
        self.at = at
        self.elapsed: Duration = 0

    def pass_time(self, duration: Duration) -> None:
        """For both clocks alike; to set `at` is to set the wall clock."""
        self.at, self.elapsed = self.at + duration, self.elapsed + duration

    def now(self) -> Instant:
        return self.at

    def monotonic(self) -> Duration:
        return self.elapsed

    boot = "b00t"

    def boottime(self) -> Duration:
        return self.elapsed


def run(at: Instant = NOON, **changes: Any) -> RunRecord:
    """A good run of 400 ms, once a minute."""
    facts: dict[str, Any] = {
        "check": "eligibility",
        "scenario": "eligibility",
        "region": "east",
        "purpose": "probe",
        "scheduled_at": at,
        "started_at": at,
        "interval": MINUTE,
        "latency": 400 * MILLISECOND,
        "outcome": "ok",
        "fault": "none",
        "clock_offset": 0,
        "clock_error": 1000,
    }
    return RunRecord(**{**facts, **changes})


def entries(bodies: Iterable[bytes], agent: str = "east-1", epoch: str = "e1", first: int = 1) -> tuple[Entry, ...]:
    return tuple(Entry(seq, digest(agent, epoch, seq, body), body) for seq, body in enumerate(bodies, start=first))


def batch(
    *records: RunRecord,
    agent: str = "east-1",
    epoch: str = "e1",
    first: int = 1,
    counts: Mapping[str, int] | None = None,
) -> Batch:
    """Records as one agent sends them."""
    made = entries(map(encode_record, records), agent, epoch, first)
    return Batch(agent, agent.partition("-")[0], epoch, made, counts or {}, software="0.1.0")


def packed(made: Batch) -> bytes:
    return gzip.compress(encode_batch(made), mtime=0)


def keep(store: Store, records: Sequence[RunRecord], at: Instant, agent: str = "east-1", epoch: str = "e1") -> int:
    """Put records into a store as the next ones of an agent; the ledger position they got."""
    last = store.extents().get((agent, epoch), [(0, 0)])[-1][1]
    new = [NewRecord(agent, epoch, last + n, 1000 * last + n, each) for n, each in enumerate(records, start=1)]
    return store.append(new, at)


@dataclass(frozen=True, slots=True)
class Answer:
    http: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector."""

    rooms: Rooms
    clock: SettableClock
    url: str
    session: aiohttp.ClientSession
    issued: IssuedRegister

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self.session.request(method, self.url + path, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **query: str) -> Answer:
        return await self.ask("GET", path, params=query)

    async def send(self, made: Batch | bytes, encoding: str = "gzip") -> Answer:
        raw = made if isinstance(made, bytes) else packed(made)
        return await self.ask("POST", "/v1/results", data=BytesIO(raw), headers={"Content-Encoding": encoding})

    async def announce(self, **window: Any) -> Answer:
        return await self.ask("POST", "/v1/windows", data=BytesIO(json.dumps(window).encode()))

    def rows(self) -> list[tuple[int, int]]:
        """(seq, digest) of every row that the store has for the usual agent."""
        stored = self.rooms.store.extents().get(("east-1", "e1"), [])
        return [
            pair
            for first, last in stored
            for pair in sorted(self.rooms.store.digests("east-1", "e1", first, last).items())
        ]


def lose(store: Path, before: Instant) -> int:
    """Take runs out of a store's file behind its back, as no command can; how many."""
    with duckdb.connect(str(store)) as database:
        return int(database.execute("DELETE FROM runs WHERE ts < ?", [before]).fetchall()[0][0])


@asynccontextmanager
async def collecting(
    folder: Path,
    *,
    store: Store | None = None,
    guarantees: tuple[Guarantee, ...] = (G1, G3),
    zone: ZoneInfo = UTC,
    clock: SettableClock | None = None,
    in_force_from: Instant | None = None,
) -> AsyncIterator[Collector]:
    """The collector's own parts, put together as its process does."""
    agreement = Agreement("Network services", guarantees, zone, in_force_from)
    config = CollectorConfig(("127.0.0.1", 0), folder / "results.duckdb", agreement, SETTLE, HOUR)
    clock = clock or SettableClock()
    store = store or DuckdbStore(config.store)
    ledger = DeliveryLedger(folder / "results.delivery.sqlite")
    stamper = Stamper(folder / "results.stamps.key")
    intake = Intake(store, clock, config.store.with_suffix(".as-of"), ledger, stamper)
    register = WindowRegister(folder / "windows.sqlite", clock, earliest=lambda: intake.earliest_stamp)
    accountant = Accountant(store, agreement, SETTLE)
    rooms = Rooms(config, clock, store, intake, register, accountant, CollectorMetrics(intake))
    issued = IssuedRegister(folder / "statements.sqlite", clock, earliest=lambda: intake.earliest_stamp)
    intake.stamp_after(issued.last_as_of())
    app = build_app(rooms)
    add_issued(app, make_issuer(rooms, issued))
    try:
        async with serving(app, *config.listen) as url, aiohttp.ClientSession() as session:
            yield Collector(rooms, clock, url, session, issued)
    finally:
        issued.close()
        intake.close()
        register.close()
        ledger.close()
        store.close()
