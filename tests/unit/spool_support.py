"""A spool on disk under a clock that stands still, and records that have something to give up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from outrider.codecs.records import encode_record
from outrider.core.units import MILLISECOND, MINUTE, SECOND, Duration, Instant
from outrider.core.wire import Entry, Phases, RunRecord, StepRecord
from outrider.spool import Outbox

NOW: Instant = 1_780_000_020_000_000
AGENT = "east-1"


class SettableClock:
    """Stands still until told otherwise."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> Instant:
        return self.at

    def monotonic(self) -> Duration:
        return self.at


def opened(path: Path, clock: SettableClock | None = None, **more: int) -> Outbox:
    return Outbox(path, agent=AGENT, clock=clock or SettableClock(), **more)


def run(number: int = 0, detail: int = 0, is_good: bool = True, steps: int = 2, **changes: Any) -> RunRecord:
    """The run of second `number`; `detail` is how many characters its captured text has."""
    phases = Phases(1000, 2000, 3000, 400, 50_000, 600)
    facts: dict[str, Any] = {
        "check": "eligibility", "scenario": "eligibility", "region": "east", "purpose": "probe",
        "scheduled_at": NOW + number * SECOND, "started_at": NOW + number * SECOND, "interval": MINUTE,
        "latency": 400 * MILLISECOND, "outcome": "ok" if is_good else "service_down",
        "fault": "none" if is_good else "service", "detail": "x" * detail, "phases": phases,
        "steps": tuple(StepRecord(f"step {n}", "ok", "", "", 200_000, phases) for n in range(steps)),
    }  # fmt: skip
    return RunRecord(**{**facts, **changes})


async def kept(outbox: Outbox, *records: RunRecord) -> list[int | None]:
    outbox.count("scheduled", len(records))
    return [await outbox.append(encode_record(each)) for each in records]


async def waiting(outbox: Outbox) -> tuple[Entry, ...]:
    return await outbox.read(10**6, 10**9)


def asked(path: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(question).fetchall()


def bytes_of(path: Path) -> int:
    """What the spool takes on the disk, its log included."""
    return sum(file.stat().st_size for end in ("", "-wal") if (file := Path(f"{path}{end}")).exists())
