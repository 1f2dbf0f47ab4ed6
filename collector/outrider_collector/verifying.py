"""Window verification from the store: the runs around a window as facts for `core.verification`, its report over HTTP.

Rules
-----
1. A report is a function of (window, as-of instant, what was recorded by then): `as_of` makes it again. The shuffles
   of the comparison come from a generator that is seeded with the window's name.
2. The runs are those of purpose `probe`, at most two days before and after the window and, for each check and region,
   at most 3000 on each side and within: the nearest ones before and after, the last ones within.
3. How slow is slower (`ratio`) and how many runs it takes on each side (`baseline_runs`) may be asked for; the report
   says what it was made with.
4. Where the agreement makes BAD runs void that were under way when a window opened (R8), they are left out here too.
5. Time that another window excuses, under every guarantee, belongs to that window. One announced too late hides
   nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
from aiohttp import web

from outrider.core.compare import Comparison, Question, Settings
from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Announcement, excused_by, histories
from outrider.core.outcome import Standing
from outrider.core.sli import OUTCOME_ORDER
from outrider.core.units import DAY, Duration, Instant, format_instant, parse_instant
from outrider.core.verification import Facts, Runs, Trouble, Vantage, Verification, is_in_scope, verify
from outrider_collector.rooms import ROOMS, RefusedError, Rooms, json_answer
from outrider_collector.statement.values import Plain
from outrider_collector.statement.windows import announcement
from outrider_collector.store import Columns, Seen, Store
from outrider_collector.summaries import select
from outrider_collector.window_fields import refusal

SCHEMA_VERSION = 1
AROUND: Duration = 2 * DAY
MOST = 3000
FEWEST = 20
HIGHEST_RATIO = 100

_FIELDS = ("as_of", "ratio", "baseline_runs")
_RATIO = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")
_COUNT = re.compile(r"[0-9]{1,6}")

_NO_RUNS = Runs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))


def add_verification(app: web.Application) -> None:
    """Add the route. The application needs its ROOMS."""
    app.router.add_get("/v1/windows/{window}/verification", _verification)


async def _verification(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    if unknown := [name for name in request.query if name not in _FIELDS]:
        raise refusal(422, unknown[0], f"is unknown; a verification takes {', '.join(_FIELDS)}")
    settings = read_settings(request.query)
    as_of = await asyncio.to_thread(rooms.intake.as_of)
    try:
        if "as_of" in request.query:
            as_of = min(as_of, parse_instant(request.query["as_of"]))
    except (ValueError, OverflowError) as error:
        raise RefusedError(422, f"as_of: {error}", field="as_of") from None
    window = request.match_info["window"]
    return json_answer(await asyncio.to_thread(make_verification, rooms, window, as_of, settings))


def read_settings(query: Mapping[str, str]) -> Settings:
    """What the runs are compared by. Raises RefusedError."""
    given: dict[str, Any] = {}
    if (ratio := query.get("ratio")) is not None:
        if not _RATIO.fullmatch(ratio) or not 1 <= Fraction(ratio) <= HIGHEST_RATIO:
            raise refusal(422, "ratio", f"{ratio[:40]!r} is not a number from 1 to {HIGHEST_RATIO} like 1.3")
        given["ratio"] = Fraction(ratio)
    if (runs := query.get("baseline_runs")) is not None:
        if not _COUNT.fullmatch(runs) or not FEWEST <= int(runs) <= MOST:
            raise refusal(422, "baseline_runs", f"{runs[:40]!r} is not a whole number from {FEWEST} to {MOST}")
        given["least_runs"] = int(runs)
    return Settings(**given)


def make_verification(rooms: Rooms, window: str, as_of: Instant, settings: Settings | None = None) -> Plain:
    """The report on a window as plain values; blocks. Raises RefusedError where there is no such window by then."""
    known = histories(rooms.register.announcements(as_of))
    if window not in known:
        told = f"there is no window {window!r} as of {format_instant(as_of)}; `outrider window list` shows them"
        raise RefusedError(404, told)
    seed = int.from_bytes(sha256(window.encode()).digest()[:8], "big")
    settings = settings or Settings()
    return _plain(verify(gather(rooms, known, window, as_of), np.random.default_rng(seed), settings), settings)


def gather(rooms: Rooms, known: dict[str, tuple[Announcement, ...]], window: str, as_of: Instant) -> Facts:
    """The facts about one of the known windows; blocks."""
    history, store = known[window], rooms.store
    latest, ledger = history[-1], rooms.store.position(as_of)
    closes_at = latest.end + AROUND
    around = Interval(latest.start - AROUND, closes_at)
    seen = store.seen(around, ledger)
    checks = sorted({each.check for each in seen})
    others = [versions for name, versions in known.items() if name != window]
    elsewhere = {check: _excused_elsewhere(rooms, others, check).within(around) for check in checks}
    parts = _Parts(rooms, elsewhere, ledger)
    in_scope = [check for check in checks if is_in_scope(latest, check)]
    notices = tuple(
        (each.id, each.notice_for(latest))
        for each in rooms.config.agreement.guarantees
        if each.windows_excuse and any(each.covers(check) for check in in_scope)
    )
    before = parts.read(store, around.start, latest.start, is_latest=True)
    if rooms.config.agreement.guarantees[0].void_inflight:
        before = {name: _landed(runs, latest.start) for name, runs in before.items()}
    during = parts.read(store, latest.start, min(latest.end, as_of + 1), is_latest=True)
    after = parts.read(store, latest.end, min(closes_at, as_of + 1), is_latest=False)
    places = tuple(_place(each, before, during, after) for each in sorted(seen, key=lambda it: (it.check, it.region)))
    return Facts(history, notices, places, as_of, closes_at)


def _excused_elsewhere(rooms: Rooms, others: Iterable[tuple[Announcement, ...]], check: str) -> Intervals:
    """Rule 5: under every guarantee means under the one that wants the longest notice."""
    found: list[Interval] = []
    for history in others:
        notices = [each.notice_for(history[-1]) for each in rooms.config.agreement.guarantees]
        if (wanted := [notice for notice in notices if notice is not None]) and len(wanted) == len(notices):
            found += excused_by(history, max(wanted), check, max(wanted))
    return Intervals(found)


_Found = dict[tuple[str, str], Runs]


class _Parts:
    """Reads the runs of one part of the time."""

    def __init__(self, rooms: Rooms, elsewhere: dict[str, Intervals], ledger: int) -> None:
        standing = rooms.config.agreement.guarantees[0].standing
        self._standings = np.array([standing(each).value for each in OUTCOME_ORDER])
        self._elsewhere = elsewhere
        self._ledger = ledger

    def read(self, store: Store, start: Instant, end: Instant, *, is_latest: bool) -> _Found:
        if start >= end:
            return {}
        span = Interval(start, end)
        kept = {check: spans.within(span) for check, spans in self._elsewhere.items()}
        return self._apart(store.runs(select(kept, span, self._ledger), MOST, is_latest=is_latest))

    def _apart(self, rows: Columns) -> _Found:
        """By check and region, GOOD and BAD ones alone."""
        standing = self._standings[rows["outcome"].astype(np.int64)]
        counted = np.isin(standing, [Standing.GOOD.value, Standing.BAD.value])
        check, region = rows["check"][counted], rows["region"][counted]
        at, latency = (rows[name][counted].astype(np.int64) for name in ("ts", "latency"))
        is_bad = standing[counted] == Standing.BAD.value
        changes = (check[1:] != check[:-1]) | (region[1:] != region[:-1])
        edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(at)] if len(at) else []
        return {
            (str(check[first]), str(region[first])): Runs(at[first:last], latency[first:last], is_bad[first:last])
            for first, last in pairwise(edges)
        }


def _landed(runs: Runs, start: Instant) -> Runs:
    """Without the BAD runs that were under way at an instant (rule 4)."""
    kept = ~(runs.is_bad & (runs.at + runs.latency >= start))
    return Runs(runs.at[kept], runs.latency[kept], runs.is_bad[kept])


def _place(seen: Seen, *parts: _Found) -> Vantage:
    before, during, after = (part.get((seen.check, seen.region), _NO_RUNS) for part in parts)
    return Vantage(seen.check, seen.region, seen.interval, before, during, after)


# --- the report as plain values --------------------------------------------------------------------------------------


def _plain(made: Verification, settings: Settings) -> Plain:
    return {
        "schema": SCHEMA_VERSION,
        "settings": {"ratio": f"{float(settings.ratio):g}", "baseline_runs": settings.least_runs},
        "window": announcement(made.latest),
        "as_of": format_instant(made.as_of),
        "verdict": made.clearance.value,
        "failures": list(made.failures),
        "pending": list(made.pending),
        "missing": list(made.missing),
        "before": {
            "notices": [
                {
                    "guarantee": each.guarantee,
                    "required_us": each.required,
                    "given_us": each.given,
                    "margin_us": each.margin,
                    "is_met": None if each.margin is None else each.margin >= 0,
                }
                for each in made.notices
            ],
            "baselines": [
                {"check": each.check, "region": each.region, "runs": each.runs, "missing": each.missing}
                for each in made.baselines
            ],
        },
        "during": {
            "in_scope": [_trouble(each, made) for each in made.troubles],
            "out_of_scope": [{"check": check, "state": state.value} for check, state in made.bystanders],
            "did_not_stay_up": [_trouble(each, made) for each in made.disturbed],
        },
        "after": {
            "back": [
                {
                    "check": each.check,
                    "region": each.region,
                    "good_running": each.good_running,
                    "is_back": each.is_back,
                }
                for each in made.back
            ],
            "comparisons": [_comparison(each) for each in made.comparisons],
        },
    }


def _trouble(each: Trouble, made: Verification) -> Plain:
    """Seconds against the edges: how long after the start the first bad run was sent, how long before the end the last
    one; negative ones lie outside."""
    return {
        "check": each.check,
        "region": each.region,
        "first_bad": format_instant(each.first),
        "last_bad": format_instant(each.last),
        "bad_runs": each.runs,
        "first_after_start_us": each.first - made.latest.start,
        "last_before_end_us": made.latest.end - each.last,
    }


def _comparison(each: Comparison) -> Plain:
    return {
        "name": each.name,
        "change": each.change.value,
        "reason": each.reason,
        "runs": {"before": each.runs[0], "after": each.runs[1]},
        "blocks": {"before": each.blocks[0], "after": each.blocks[1]},
        "questions": [_question(question) for question in each.questions],
    }


def _question(each: Question) -> dict[str, Any]:
    return {
        "name": each.name,
        "before_us": each.before,
        "after_us": each.after,
        "ratio": None if each.ratio is None else f"{float(each.ratio):.4f}",
        "p": f"{each.p:.6f}",
        "is_significant": each.is_significant,
        "is_worse": each.is_worse,
    }
