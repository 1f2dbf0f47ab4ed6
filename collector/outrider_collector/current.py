"""How things stand now: the last run of each check and region, and the figures of a recent lookback.

These are for looking at, and leave excused slices out. The accounts are made elsewhere, for a period (`accounting`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from outrider.core.guarantee import Agreement
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement, excused, histories
from outrider.core.measuring import BUCKET, whole_slices
from outrider.core.outcome import Standing
from outrider.core.sli import OUTCOME_ORDER
from outrider.core.units import Duration, Instant, format_instant
from outrider_collector.delivery import Sender
from outrider_collector.statement.values import Plain, share
from outrider_collector.statement.windows import announcement
from outrider_collector.store import Columns, Seen, Selection, Store

BINS = 60
"""Points of the p90 line."""

Mask = NDArray[np.bool_]


def make_current(
    store: Store,
    agreement: Agreement,
    announcements: tuple[Announcement, ...],
    senders: list[Sender],
    *,
    now: Instant,
    lookback: Duration,
    settle: Duration,
) -> Plain:
    """The current state as plain values, ready for JSON. Reads only."""
    view = _View.of(store, agreement, announcements, now=now, lookback=lookback, settle=settle)
    return {
        "now": format_instant(now),
        "agreement": agreement.name,
        "timezone": agreement.zone.key,
        "lookback": {"start": format_instant(view.span.start), "end": format_instant(view.span.end)},
        "bin_us": view.width,
        "checks": [view.check(check) for check in view.checks],
        "windows": [_window(history, now) for history in histories(announcements).values()],
        "agents": [_agent(sender) for sender in sorted(senders, key=lambda each: each.agent)],
    }


@dataclass(frozen=True, slots=True)
class _View:
    """What was read from the store for one look. `settled` is the first slice that may still get results."""

    store: Store
    agreement: Agreement
    span: Interval
    ledger: int
    width: Duration
    settled: int
    seen: list[Seen]
    latest: dict[tuple[str, str], dict[str, Any]]
    counts: Columns
    announcements: tuple[Announcement, ...]

    @classmethod
    def of(
        cls,
        store: Store,
        agreement: Agreement,
        announcements: tuple[Announcement, ...],
        *,
        now: Instant,
        lookback: Duration,
        settle: Duration,
    ) -> _View:
        length = agreement.guarantees[0].slice
        width = max(length, lookback // BINS // length * length)
        end = now // width * width + width
        span = Interval(end - width * (lookback // width), end)
        ledger = store.position(now)
        seen = store.seen(span, ledger)
        checks = tuple(sorted({each.check for each in seen}))
        return cls(
            store,
            agreement,
            span,
            ledger,
            width,
            (now - settle) // length,
            seen,
            {(row["check"], row["region"]): row for row in _rows(store.latest(span, ledger))},
            store.slice_counts(Selection(checks, span, ledger), length),
            announcements,
        )

    @property
    def checks(self) -> list[str]:
        return sorted({each.check for each in self.seen})

    def check(self, check: str) -> Plain:
        line = self.store.latency_line(check, self.span, self.ledger, self.width)
        is_good = self._is(line, Standing.GOOD)
        is_counted = is_good | self._is(line, Standing.BAD)
        kept = self._kept(check, line["bin"], self.width)
        limits = (each.limit for each in self.agreement.guarantees if each.limit is not None and each.covers(check))
        return {
            "check": check,
            "limit_us": min(limits, default=None),
            "timed": int(line["n"][is_counted & kept].sum()),
            "p90_us": _p90(line, is_good & kept, is_counted & kept),
            "line": [
                {
                    "at": format_instant(number * self.width),
                    "p90_us": _p90(line, is_good & (line["bin"] == number), is_counted & (line["bin"] == number)),
                    "samples": int(line["n"][is_counted & (line["bin"] == number)].sum()),
                }
                for number in range(self.span.start // self.width, self.span.end // self.width)
            ],
            "regions": [self._region(each, line) for each in self.seen if each.check == check],
        }

    def _region(self, seen: Seen, line: Columns) -> Plain:
        counts = self.counts
        length = self.agreement.guarantees[0].slice
        here = (counts["check"] == seen.check) & (counts["region"] == seen.region) & (counts["slice"] < self.settled)
        here &= self._kept(seen.check, counts["slice"], length)
        good = _per_slice(counts, here & self._is(counts, Standing.GOOD, Standing.PARTNER))
        bad = _per_slice(counts, here & self._is(counts, Standing.BAD))
        slices = good.keys() | bad.keys()
        up = sum(good.get(number, 0) >= bad.get(number, 0) for number in slices)
        # Whoever was first heard of within the lookback is not reproached for the time before.
        first = min(slices, default=self.settled)
        elapsed = int(self._kept(seen.check, np.arange(first, self.settled), length).sum())
        of_region = (line["region"] == seen.region) & self._kept(seen.check, line["bin"], self.width)
        is_good = of_region & self._is(line, Standing.GOOD)
        is_counted = is_good | (of_region & self._is(line, Standing.BAD))
        last = self.latest.get((seen.check, seen.region))
        return {
            "region": seen.region,
            "availability": share(Fraction(up, len(slices)) if slices else None),
            "coverage": share(Fraction(len(slices), elapsed) if elapsed else None),
            "slices": len(slices),
            "samples": sum(good.values()) + sum(bad.values()),
            "timed": int(line["n"][is_counted].sum()),
            "p90_us": _p90(line, is_good, is_counted),
            "interval_us": seen.interval,
            "last": None if last is None else _last(last),
        }

    def _kept(self, check: str, numbers: NDArray[Any], length: Duration) -> Mask:
        """Which of these slices (or bins) of a length are not wholly excused for a check."""
        reference = self.agreement.guarantees[0]
        kept = np.ones(len(numbers), dtype=np.bool_)
        if reference.windows_excuse:
            for each in excused(
                self.announcements, reference.notice, self.span, check, reference.excuse_cap, reference.emergency_notice
            ):
                inside = whole_slices(each, length)
                kept &= (numbers < inside.start) | (numbers >= inside.stop)
        return kept

    def _is(self, rows: Columns, *standings: Standing) -> Mask:
        standing = self.agreement.guarantees[0].standing
        wanted = [number for number, outcome in enumerate(OUTCOME_ORDER) if standing(outcome) in standings]
        return np.isin(rows["outcome"], wanted)


def _rows(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


def _last(row: dict[str, Any]) -> Plain:
    return {
        "at": format_instant(row["ts"]),
        "outcome": OUTCOME_ORDER[row["outcome"]].value,
        "code": row["code"],
        "place": row["place"],
        "detail": row["detail"],
        "latency_us": row["latency"],
        "cleanup": row["cleanup"],
    }


def _per_slice(counts: Columns, chosen: Mask) -> dict[int, int]:
    found: dict[int, int] = {}
    for number, n in zip(counts["slice"][chosen].tolist(), counts["n"][chosen].tolist(), strict=True):
        found[number] = found.get(number, 0) + n
    return found


def _p90(line: Columns, is_good: Mask, is_counted: Mask) -> Duration | None:
    """Nearest rank, failures as infinity (None), rounded up to the millisecond; None too where nothing was seen."""
    n = int(line["n"][is_counted].sum())
    rank = -(-9 * n // 10)
    order = np.argsort(line["bucket"][is_good], kind="stable")
    running = np.cumsum(line["n"][is_good][order])
    at = int(np.searchsorted(running, rank)) if n else len(running)
    return int(line["bucket"][is_good][order][at]) * BUCKET if at < len(running) else None


def _window(history: tuple[Announcement, ...], now: Instant) -> Plain:
    latest = history[-1]
    if latest.act is Act.CANCEL:
        state = "cancelled"
    elif now < latest.start:
        state = "announced"
    else:
        state = "running" if now < latest.end else "over"
    return {**announcement(latest), "state": state, "announced_at": format_instant(history[0].recorded_at)}


def _agent(sender: Sender) -> Plain:
    return {
        "agent": sender.agent,
        "region": sender.region,
        "epoch": sender.epoch,
        "software": sender.software,
        "last_seen": format_instant(sender.last_seen),
        "duplicates": sender.duplicates,
        "counts": sender.counts,
        "ways": sender.ways,
    }
