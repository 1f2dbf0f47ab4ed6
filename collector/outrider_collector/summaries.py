"""Summaries: what a check came to in a day or an hour, counted once and added up as often as a statement asks.

Rules
-----
1. A span is cut into days of the guarantee's time zone; what is left at its edges into hours, and the rest as it is.
   Every edge of a day is on a quarter of an hour of UTC, so slices and five-minute intervals fit into each unit, and a
   span's counts are the sum of its units' (`outrider.core.sli.Availability.total`).
2. A summary's key holds all that it depends on: check, unit, the rules of the guarantee, what is excused within the
   unit, and the last ledger position, up to the one asked for, that has runs there. Late results and late
   announcements therefore have keys of their own: only the units that they touch are counted again, and nothing that
   was counted before is ever wrong.
3. Any summary may be forgotten at any time; it is made again from the runs.
4. Where a check's runs speak for longer than a slice, or runs in flight are void, a unit depends on its neighbours:
   its key then holds what lies within a margin around it, too (`time_units.Margin`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from outrider.core.guarantee import Guarantee
from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.measuring import Latencies, Rules, measure, pooled
from outrider.core.outcome import Standing
from outrider.core.sli import OUTCOME_NUMBER, OUTCOME_ORDER, Availability, SliceCounts
from outrider.core.units import HOUR, Instant
from outrider_collector.store import Columns, Counts, Excluded, Seen, Selection, StoreFailedError
from outrider_collector.time_units import ALONE, Margin, cut, flat, folded

MOST_KEPT = 200_000
"""Summaries in memory; one takes about a kilobyte. The one that was used longest ago goes first."""

Numbers = NDArray[np.int64]
S = TypeVar("S")
_SPANS_KEPT = 8
_NEAR_KEPT = 16
_FAILURES_KEPT = 20_000
_MOST_FAILURES = 1000
"""Rows of one outage: kinds of failure, by region."""


@dataclass(frozen=True, slots=True)
class Presence:
    """The availability of a check in a unit: adjusted, raw, and how many runs a partner failed."""

    adjusted: Availability
    raw: Availability
    partner_failed: int

    @classmethod
    def total(cls, parts: Sequence[Presence]) -> Presence:
        return cls(
            Availability.total([part.adjusted for part in parts]),
            Availability.total([part.raw for part in parts]),
            sum(part.partner_failed for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """Latencies of GOOD runs, and how many others there were by standing."""

    good: Latencies
    others: Mapping[Standing, int]

    @classmethod
    def total(cls, parts: Sequence[Timing]) -> Timing:
        standings = (Standing.BAD, Standing.PARTNER, Standing.VOID)
        others = {standing: sum(part.others.get(standing, 0) for part in parts) for standing in standings}
        return cls(pooled([part.good for part in parts]), others)

    @property
    def counted(self) -> tuple[int, int]:
        """(GOOD and BAD runs, BAD runs)."""
        bad = self.others.get(Standing.BAD, 0)
        return int(self.good.count.sum()) + bad, bad

    def with_void(self, inflight: int) -> Timing:
        """With so many of the BAD runs put down as void."""
        bad, void = (self.others.get(standing, 0) for standing in (Standing.BAD, Standing.VOID))
        return replace(self, others={**self.others, Standing.BAD: bad - inflight, Standing.VOID: void + inflight})


@dataclass(frozen=True, slots=True)
class Timings:
    """The response times of a check in a unit."""

    adjusted: Timing
    raw: Timing

    @classmethod
    def total(cls, parts: Sequence[Timings]) -> Timings:
        return cls(Timing.total([part.adjusted for part in parts]), Timing.total([part.raw for part in parts]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: one guarantee over a span, up to a ledger position; `taken_out` is each check's excused time,
    `expired` when its credential was known to have expired."""

    guarantee: Guarantee
    span: Interval
    ledger: int
    taken_out: Mapping[str, Intervals]
    expired: Mapping[str, Intervals]

    def only(self, checks: Collection[str]) -> Wanted:
        """The same for these checks alone."""
        return replace(self, taken_out={check: spans for check, spans in self.taken_out.items() if check in checks})


Counting: TypeAlias = Callable[[Wanted, Interval, Mapping[str, Intervals]], Mapping[str, S]]
"""Counts one unit for those checks, each with its excused time there."""


class _Kept(Generic[S]):
    """The newest summaries by key; for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, S] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> S | None:
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def put(self, key: Hashable, summary: S) -> None:
        with self._lock:
            self._found[key] = summary
            while len(self._found) > self._most:
                self._found.popitem(last=False)


class Summaries:
    """Makes and keeps summaries of one store's runs."""

    def __init__(self, store: Counts, most: int = MOST_KEPT) -> None:
        self._store = store
        self._presences = _Kept[Presence](most)
        self._timings = _Kept[Timings](most)
        self._failures = _Kept[Columns](_FAILURES_KEPT)
        self._touched_lately = _Kept[Columns](_SPANS_KEPT)
        self._seen_lately = _Kept[list[Seen]](_SPANS_KEPT)
        self._near_lately = _Kept[Columns](_NEAR_KEPT)
        self._stopping = threading.Event()
        self.made = 0
        """How many were counted, not found: for tests and benches."""

    def near(self, selection: Selection, edges: Mapping[str, Sequence[Instant]]) -> Columns:
        """`Store.near`; the last answers are kept, since a statement is asked for again and again."""
        key = selection, tuple((check, tuple(of)) for check, of in edges.items())
        found = self._near_lately.get(key)
        if found is None:
            found = self._store.near(selection, edges)
            self._near_lately.put(key, found)
        return found

    def _share_with(self, other: Summaries) -> None:
        """Keep what is counted where the other does, and stop with it."""
        self._presences, self._timings = other._presences, other._timings
        self._touched_lately, self._seen_lately = other._touched_lately, other._seen_lately
        self._stopping = other._stopping

    def stop(self) -> None:
        """Count no more: whoever waits for an account is told that the store is closing."""
        self._stopping.set()

    def availability(self, wanted: Wanted) -> dict[str, Presence]:
        """Each check's availability over the whole span."""
        units = list(cut(wanted.span, wanted.guarantee.zone))
        found = self._gather(wanted, units, self._presences, self._count_presences, _no_presences)
        return {check: Presence.total(parts) for check, parts in found.items()}

    def by_day(
        self,
        wanted: Wanted,
        days: Sequence[Interval],
        count: Counting[Presence] | None = None,
        margin: Margin = ALONE,
    ) -> dict[str, list[Presence]]:
        """Each check's availability on each of these days, which follow one another and fill the span; with `count`,
        the counting of a unit that depends on a margin around it."""
        if count is not None:
            return self._gather(wanted, days, self._presences, count, _no_presences, margin)
        units = [list(cut(day, wanted.guarantee.zone)) for day in days]
        found = self._gather(wanted, flat(units), self._presences, self._count_presences, _no_presences)
        return {
            check: [part[0] if len(part) == 1 else Presence.total(part) for part in folded(parts, units)]
            for check, parts in found.items()
        }

    def response(self, wanted: Wanted) -> Timings:
        """The response times of all checks over the whole span."""
        units = list(cut(wanted.span, wanted.guarantee.zone))
        found = self._gather(wanted, units, self._timings, self._count_timings, _no_timings)
        return Timings.total([part for each in found.values() for part in each])

    def response_by_bin(self, wanted: Wanted, bins: Sequence[Interval]) -> list[Timings]:
        """The response times of all checks in each of these bins, which follow one another and fill the span."""
        units = [list(cut(each, wanted.guarantee.zone)) for each in bins]
        found = self._gather(wanted, flat(units), self._timings, self._count_timings, _no_timings)
        by_check_and_bin = [folded(parts, units) for parts in found.values()]
        return [
            Timings.total([part for bins_of in by_check_and_bin for part in bins_of[number]])
            for number in range(len(bins))
        ]

    def seen(self, span: Interval, ledger: int) -> list[Seen]:
        """As `Store.seen`; the last answers are kept."""
        found = self._seen_lately.get((span, ledger))
        if found is None:
            found = self._store.seen(span, ledger)
            self._seen_lately.put((span, ledger), found)
        return found

    def failures(self, outages: Sequence[Selection], within: Interval) -> list[Columns]:
        """As `Store.failures`, of outages within a span, at one ledger position: those that were found before, and all
        others with one question. An outage is kept by the last position with runs in its hours, as summaries are."""
        if not outages:
            return []
        checks = {check for each in outages for check in each.checks}
        touched = by_check(self._touched(within, outages[0].ledger), checks)
        keys = [replace(each, ledger=_last_position(each, touched)) for each in outages]
        found = {key: rows for key in keys if (rows := self._failures.get(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            found.update(zip(missing, self._store.failures(missing, _MOST_FAILURES), strict=True))
            for key in missing:
                self._failures.put(key, found[key])
        return [found[key] for key in keys]

    def _gather(
        self,
        wanted: Wanted,
        units: Sequence[Interval],
        kept: _Kept[S],
        count: Counting[S],
        nothing: Counting[S],
        margin: Margin = ALONE,
    ) -> dict[str, list[S]]:
        """For each check its summary of each unit, found or counted; `nothing` makes those of checks that have no run
        there, for which nobody need be asked."""
        around = [margin.around(unit) for unit in units]
        positions = self._positions(wanted, around)
        rules = _fingerprint(wanted.guarantee), margin != ALONE and wanted.guarantee.void_inflight
        found: dict[str, list[S]] = {check: [] for check in wanted.taken_out}
        for number, (unit, wider) in enumerate(zip(units, around, strict=True)):
            missing: dict[str, tuple[Hashable, Intervals]] = {}
            for check, excused in wanted.taken_out.items():
                here = _within(excused, wider)
                expired = _within(wanted.expired.get(check, NOTHING), unit)
                place = check, unit.start, unit.end, wider.start, wider.end
                key: Hashable = rules, place, positions[check][number], here.members, expired.members
                summary = kept.get(key)
                if summary is None:
                    missing[check] = key, here
                else:
                    found[check].append(summary)
            if missing:
                if self._stopping.is_set():
                    raise StoreFailedError("the collector is stopping")
                silent = {check: here for check, (_, here) in missing.items() if not positions[check][number]}
                heard = {check: here for check, (_, here) in missing.items() if check not in silent}
                made = {**(count(wanted, unit, heard) if heard else {}), **nothing(wanted, unit, silent)}
                self.made += len(made)
                for check, (key, _) in missing.items():
                    kept.put(key, made[check])
                    found[check].append(made[check])
        return found

    def _positions(self, wanted: Wanted, spans: Sequence[Interval]) -> dict[str, list[int]]:
        """For each check the last ledger position with runs in the hours that each span touches; 0 where there is none.
        `spans` are in order of time, and so are their ends."""
        found = {check: [0] * len(spans) for check in wanted.taken_out}
        if not spans:
            return found
        rows = self._touched(Interval(spans[0].start, spans[-1].end), wanted.ledger)
        starts, ends = (np.array(edges) for edges in ([each.start for each in spans], [each.end for each in spans]))
        touched = by_check(rows, found)
        for check in found:
            hours = touched[check]["bin"].astype(np.int64) * HOUR
            first = np.searchsorted(ends, hours, side="right")
            times = np.searchsorted(starts, hours + HOUR, side="left") - first  # spans that the hour touches
            before = np.cumsum(times) - times
            number = np.arange(times.sum()) + np.repeat(first - before, times)
            positions = np.zeros(len(spans), dtype=np.int64)
            np.maximum.at(positions, number, np.repeat(touched[check]["position"].astype(np.int64), times))
            found[check] = positions.tolist()
        return found

    def _touched(self, span: Interval, ledger: int) -> Columns:
        """Several guarantees ask for the same span, one after the other: the last answers are kept."""
        found = self._touched_lately.get((span, ledger))
        if found is None:
            found = self._store.touched(span, ledger, HOUR)
            self._touched_lately.put((span, ledger), found)
        return found

    # --- counting ------------------------------------------------------------------------------------------------

    def _count_presences(
        self, wanted: Wanted, unit: Interval, taken_out: Mapping[str, Intervals]
    ) -> dict[str, Presence]:
        guarantee = wanted.guarantee
        rows = self._store.slice_counts(select(taken_out, unit, wanted.ledger, guarantee.regions), guarantee.slice)
        return presences(replace(wanted, span=unit, taken_out=taken_out), rows, rows)

    def _count_timings(self, wanted: Wanted, unit: Interval, taken_out: Mapping[str, Intervals]) -> dict[str, Timings]:
        selection = select(taken_out, unit, wanted.ledger, wanted.guarantee.regions)
        counted = by_check(self._store.latency_counts(selection), taken_out)
        return {
            check: Timings(
                timing(wanted.guarantee, mine, mine["left_out"] == 0),
                timing(wanted.guarantee, mine, np.ones(len(mine["n"]), dtype=np.bool_)),
            )
            for check, mine in counted.items()
        }


def presences(wanted: Wanted, rows: Columns, adjusted_rows: Columns) -> dict[str, Presence]:
    """Each check's availability from the rows of `Store.slice_counts`; the adjusted figure is from rows of its own,
    and leaves out those that are left out."""
    guarantee = wanted.guarantee
    partners = [OUTCOME_NUMBER[each] for each in guarantee.left_to_partners]
    raw = adjusted = by_check(rows, wanted.taken_out)
    if adjusted_rows is not rows:
        adjusted = by_check(adjusted_rows, wanted.taken_out)
    first = wanted.span.start // guarantee.slice  # rows may begin earlier, so that a state can carry into the span
    made = {}
    for check, excused in wanted.taken_out.items():
        rules = Rules(guarantee.slice, guarantee.standing, guarantee.quorum, wanted.expired.get(check, NOTHING))
        kept = adjusted[check]["left_out"] == 0
        every = np.ones(len(raw[check]["n"]), dtype=np.bool_)
        without = measure(slice_counts(adjusted[check], kept), excused, wanted.span, rules)
        is_same = not excused and adjusted[check] is raw[check] and kept.all()  # nothing is taken out, as mostly
        made[check] = Presence(
            without,
            without if is_same else measure(slice_counts(raw[check], every), NOTHING, wanted.span, rules),
            int(raw[check]["n"][np.isin(raw[check]["outcome"], partners) & (raw[check]["slice"] >= first)].sum()),
        )
    return made


_NO_ROWS: Columns = {
    **dict.fromkeys(("check", "region"), np.zeros(0, dtype=np.str_)),
    **dict.fromkeys(
        ("check_id", "region_id", "slice", "outcome", "left_out", "n", "last_at", "speaks_until"),
        np.zeros(0, dtype=np.int64),
    ),
}


def _no_presences(wanted: Wanted, unit: Interval, taken_out: Mapping[str, Intervals]) -> Mapping[str, Presence]:
    """Silence is the same of every check of which the same is excused."""
    found: dict[Intervals, Presence] = {}
    for check, excused in taken_out.items():
        if excused not in found:
            alone = replace(wanted, span=unit, taken_out={check: excused})
            found[excused] = presences(alone, _NO_ROWS, _NO_ROWS)[check]
    return {check: found[excused] for check, excused in taken_out.items()}


def _no_timings(_: Wanted, __: Interval, taken_out: Mapping[str, Intervals]) -> Mapping[str, Timings]:
    return dict.fromkeys(taken_out, Timings.total([]))


def _within(spans: Intervals, unit: Interval) -> Intervals:
    """As `Intervals.within`; quick where nothing of the spans is near, which is the rule."""
    if not spans or spans.members[-1].end <= unit.start or spans.members[0].start >= unit.end:
        return NOTHING
    return spans.within(unit)


def _fingerprint(guarantee: Guarantee) -> Hashable:
    """The rules of a guarantee that a count depends on."""
    counts = tuple(guarantee.standing(each) for each in OUTCOME_ORDER)
    return guarantee.slice, guarantee.quorum, counts, guarantee.left_to_partners, guarantee.regions


def select(taken_out: Mapping[str, Intervals], span: Interval, ledger: int, regions: tuple[str, ...] = ()) -> Selection:
    """What a store is asked about: these checks, each without its excused time, in these regions or in any."""
    excluded = tuple(Excluded(check, each) for check, spans in taken_out.items() for each in spans)
    return Selection(tuple(taken_out), span, ledger, excluded, regions)


def _last_position(outage: Selection, touched: Mapping[str, Columns]) -> int:
    """The last ledger position with runs in the hours that an outage touches."""
    last = 0
    for rows in (touched[check] for check in outage.checks):
        hours = rows["bin"].astype(np.int64) * HOUR
        is_near = (hours < outage.span.end) & (hours + HOUR > outage.span.start)
        last = max(last, int(rows["position"].max(initial=0, where=is_near)))
    return last


def by_check(rows: Columns, checks: Iterable[str]) -> dict[str, Columns]:
    """A store's rows apart by check, each in the order in which they were; none for a check that has none."""
    order = np.argsort(rows["check_id"], kind="stable")
    ordered = {name: column[order] for name, column in rows.items()}
    edges = [*(np.flatnonzero(np.diff(ordered["check_id"], prepend=-1))).tolist(), len(order)]
    nothing = {name: column[:0] for name, column in rows.items()}
    found: dict[str, Columns] = dict.fromkeys(checks, nothing)
    for start, end in pairwise(edges):
        found[ordered["check"][start]] = {name: column[start:end] for name, column in ordered.items()}
    return found


def slice_counts(rows: Columns, chosen: NDArray[np.bool_]) -> SliceCounts:
    """The chosen rows of one check as core counts them."""
    _, first, region = np.unique(rows["region_id"], return_index=True, return_inverse=True)

    def column(name: str) -> Numbers:
        return rows[name][chosen].astype(np.int64)

    return SliceCounts(
        tuple(rows["region"][first].tolist()),
        column("slice"),
        region[chosen],
        column("outcome"),
        column("n"),
        column("last_at"),
        column("speaks_until"),
    )


def timing(guarantee: Guarantee, rows: Columns, chosen: NDArray[np.bool_]) -> Timing:
    """The chosen rows of `Store.latency_counts` as a guarantee counts them."""

    def ints(name: str, where: NDArray[np.bool_]) -> Numbers:
        return rows[name][where].astype(np.int64)

    is_good = chosen & np.isin(rows["outcome"], numbers(guarantee, Standing.GOOD))
    others = {
        standing: int(rows["n"][chosen & np.isin(rows["outcome"], numbers(guarantee, standing))].sum())
        for standing in (Standing.BAD, Standing.PARTNER, Standing.VOID)
    }
    return Timing(pooled([Latencies(ints("bucket", is_good), ints("n", is_good), ints("total", is_good))]), others)


def numbers(guarantee: Guarantee, standing: Standing) -> list[int]:
    """The outcomes, as a store numbers them, that have this standing."""
    return [OUTCOME_NUMBER[each] for each in OUTCOME_ORDER if guarantee.standing(each) is standing]
